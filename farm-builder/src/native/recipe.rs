//! From a platform's recipe to dnf's configuration.

use std::{fmt::Write as _, path::PathBuf};

use farm_api::recipe::{Recipe, Repository};

use super::asked::machine;
use crate::sandbox::Dnf;

/// Paths as the helper sets them up, see `sandbox/scene.rs`.
const MAIN: &str = "[main]
reposdir=/nonexistent
varsdir=/nonexistent
cachedir=/var/cache/dnf
system_cachedir=/var/cache/dnf
plugins=0
install_weak_deps=0
tsflags=nodocs
keepcache=1
best=1
skip_if_unavailable=0
metadata_expire=-1
deltarpm=0
retries=3
timeout=30
color=never
gpgcheck=1
localpkg_gpgcheck=0
";

/// The repository of what the attempt itself has built so far, and the jobs before it.
const RESULTS: &str = "
[farm-results]
name=what this job and those before it have built
baseurl=file:///sys/results
gpgcheck=0
priority=1
metadata_expire=1
";

/// The folder of this host that a repository lies in, if it does.
pub fn local_folder(repository: &Repository) -> Option<PathBuf> {
    let url = repository.baseurl.as_deref()?;
    url.strip_prefix("file://").or_else(|| url.starts_with('/').then_some(url)).map(PathBuf::from)
}

/// How dnf has to be called for a platform; `results` if the attempt has a repository of its own.
pub fn dnf(recipe: &Recipe, results: bool) -> Dnf {
    let mut config = MAIN.to_owned();
    for repository in &recipe.repositories {
        section(&mut config, repository);
    }
    if results {
        config.push_str(RESULTS);
    }
    Dnf {
        config,
        folders: recipe.repositories.iter().flat_map(|one| [local_folder(one), local_key(one)]).flatten().collect(),
        network: recipe.repositories.iter().any(|one| local_folder(one).is_none() || has_remote_key(one)),
        passing: false,
        narrow: machine(recipe).is_some(),
    }
}

/// The file of this host that the key of a repository is in, if it is.
fn local_key(repository: &Repository) -> Option<PathBuf> {
    repository.gpgkey.as_deref()?.strip_prefix("file://").map(PathBuf::from)
}

fn has_remote_key(repository: &Repository) -> bool {
    repository.gpgkey.is_some() && local_key(repository).is_none()
}

fn section(config: &mut String, repository: &Repository) {
    // Writing to a String cannot fail.
    let _ = writeln!(config, "\n[{0}]\nname={0}\ngpgcheck={1}", repository.name, u8::from(repository.gpgcheck));
    for (key, value) in
        [("baseurl", &repository.baseurl), ("metalink", &repository.metalink), ("gpgkey", &repository.gpgkey)]
    {
        if let Some(value) = value {
            let _ = writeln!(config, "{key}={value}");
        }
    }
    if let Some(priority) = repository.priority {
        let _ = writeln!(config, "priority={priority}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(url: &str) -> Recipe {
        Recipe {
            name: "f13-x86_64".parse().unwrap(),
            release: "f13".to_owned(),
            arch: "x86_64".to_owned(),
            description: String::new(),
            auto: true,
            base: vec!["bash".to_owned()],
            repositories: vec![Repository {
                name: "base".to_owned(),
                baseurl: Some(url.to_owned()),
                metalink: None,
                gpgcheck: false,
                gpgkey: None,
                priority: Some(7),
                enabled: true,
            }],
            timeout_seconds: None,
            weight: None,
            network: false,
            limits: Default::default(),
            buckets: Vec::new(),
        }
    }

    #[test]
    fn a_repository_on_this_host_needs_no_network() {
        let dnf = dnf(&recipe("file:///srv/repo"), false);
        assert!(!dnf.network);
        assert_eq!(dnf.folders, [PathBuf::from("/srv/repo")]);
        assert!(
            dnf.config.ends_with("[base]\nname=base\ngpgcheck=0\nbaseurl=file:///srv/repo\npriority=7\n"),
            "{}",
            dnf.config
        );
    }

    #[test]
    fn a_repository_elsewhere_needs_it() {
        let dnf = dnf(&recipe("https://example.org/repo"), true);
        assert!(dnf.network && dnf.folders.is_empty());
        assert!(dnf.config.contains("[farm-results]"));
    }
}
