//! Platforms: what they are made from, and who builds for them.

use std::path::{Path, PathBuf};

use farm_api::{
    people::{Builder, Platform},
    recipe::Recipe,
};
use farm_db::{PgConnection, Result, operator, read};
use farm_types::BuilderState;

use super::{
    finding::{Finding, Verdict},
    room::closed_parent,
};

/// Looks at every enabled platform; `here`: whether its builder is on this machine.
pub(crate) fn check(conn: &mut PgConnection, here: bool) -> Result<Vec<Finding>> {
    let builders = read::builders(conn, farm_db::Viewer::ANYBODY, None)?;
    let platforms: Vec<_> = read::platforms(conn)?.into_iter().filter(|platform| platform.enabled).collect();
    if platforms.is_empty() {
        let finding = Finding::warning("platforms", "no platform is enabled, so nothing can be built");
        return Ok(vec![finding.mend("farm-admin platform add RECIPE.toml")]);
    }
    let mut findings = Vec::new();
    for platform in &platforms {
        let recipe = operator::recipe(conn, &platform.name)?;
        findings.push(judge(platform, &recipe, &builders, here));
    }
    Ok(findings)
}

fn judge(platform: &Platform, recipe: &Recipe, builders: &[Builder], here: bool) -> Finding {
    let name = platform.name.as_str();
    if let Some(problem) = recipe.problems().into_iter().next() {
        return Finding::wrong(name, format!("its recipe is not right: {problem}"))
            .mend("farm-admin platform add RECIPE.toml");
    }
    if let Some(finding) = local_folders(recipe).find_map(|folder| repository(name, &folder)) {
        // The builders of a larger farm have files of their own.
        return if here { finding } else { Finding { verdict: Verdict::Warning, ..finding } };
    }
    if platform.builders > 0 {
        let builders = if platform.builders == 1 { "builder" } else { "builders" };
        return Finding::ok(name, format!("{} {builders}", platform.builders));
    }
    let idle = builders.iter().find(|b| b.alive && b.state != BuilderState::Enabled && b.arches.contains(&recipe.arch));
    match idle {
        Some(builder) => {
            Finding::wrong(name, format!("nobody builds for it: builder {} is {}", builder.name, builder.state))
                .mend(format!("farm-admin builder enable {}", builder.name))
        }
        None => Finding::wrong(name, format!("nobody builds for it: no builder of {} is alive", recipe.arch))
            .mend("farm-admin builder list"),
    }
}

/// The folders of this host that repositories lie in.
fn local_folders(recipe: &Recipe) -> impl Iterator<Item = PathBuf> {
    recipe.repositories.iter().filter_map(|repository| {
        let url = repository.baseurl.as_deref()?;
        url.strip_prefix("file://").or_else(|| url.starts_with('/').then_some(url)).map(PathBuf::from)
    })
}

/// What is wrong with a repository on this host.
fn repository(platform: &str, folder: &Path) -> Option<Finding> {
    let index = folder.join("repodata/repomd.xml");
    // dnf runs under ids that are nobody's here.
    if let Some(closed) = closed_parent(&index) {
        let detail = format!("builds cannot reach {}: {} is closed to others", folder.display(), closed.display());
        return Some(Finding::wrong(platform, detail).mend(format!("chmod o+x {}", closed.display())));
    }
    if !index.is_file() {
        let detail = format!("there is no repository in {}", folder.display());
        let cure = match folder.is_dir() {
            true => format!("createrepo_c {}", folder.display()),
            false => "farm-admin platform add RECIPE.toml with the right baseurl".to_owned(),
        };
        return Some(Finding::wrong(platform, detail).mend(cure));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use serde_json::json;

    use super::*;

    fn judged(baseurl: &str, alive: i64, state: &str, here: bool) -> Finding {
        let recipe = json!({"name": "f13-x86_64", "release": "f13", "arch": "x86_64", "base": ["bash"],
            "repository": [{"name": "base", "baseurl": baseurl, "gpgcheck": false}]});
        let platform = json!({"name": "f13-x86_64", "description": "", "enabled": true, "auto": true, "pending": 0,
            "running": 0, "builders": alive});
        let builder =
            json!({"name": "host1", "state": state, "alive": true, "arches": ["x86_64"], "slots": 2, "running": []});
        judge(
            &serde_json::from_value(platform).unwrap(),
            &serde_json::from_value(recipe).unwrap(),
            &[serde_json::from_value(builder).unwrap()],
            here,
        )
    }

    #[test]
    fn a_platform_with_a_builder_and_its_repositories_is_well() {
        assert_eq!(judged("http://example.org/", 2, "enabled", true), Finding::ok("f13-x86_64", "2 builders"));
    }

    #[test]
    fn a_drained_builder_is_the_reason_and_enabling_it_the_cure() {
        let finding = judged("http://example.org/", 0, "draining", true);
        assert_eq!(finding.cure.as_deref(), Some("farm-admin builder enable host1"));
    }

    #[test]
    fn a_local_repository_must_be_there_indexed_and_reachable() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}", dir.path().display());
        fs_err::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(judged(&url, 1, "enabled", true).cure, Some(format!("chmod o+x {}", dir.path().display())));
        fs_err::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(judged(&url, 1, "enabled", true).cure, Some(format!("createrepo_c {}", dir.path().display())));
        assert_eq!(judged(&url, 1, "enabled", false).verdict, Verdict::Warning);
        fs_err::create_dir(dir.path().join("repodata")).unwrap();
        fs_err::write(dir.path().join("repodata/repomd.xml"), "").unwrap();
        assert_eq!(judged(&url, 1, "enabled", true).verdict, Verdict::Ok);
    }
}
