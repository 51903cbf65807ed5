//! What mock keeps of repositories for all chroots of one configuration: the metadata that it installs by, and the packages.
//!
//! It lies in `CACHE_TOPDIR/ROOT/dnf_cache` (or that of another package manager), a folder for each repository, as dnf makes them. mock
//! lists what is installed without digests; a package here is the one that is installed if it also was built at the same second and is of
//! the same size.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use farm_api::record::{Package, RepositoryState};
use farm_rpm::{Identity, Limits, read_identity};
use farm_types::Digest;

use super::{attempt::ChrootName, host::Host, manifest::Installed};
use crate::native::record::repository_state;

/// How long mock may take to say what its configuration is.
const PATIENCE: Duration = Duration::from_secs(60);

/// What mock calls its caches' folder by default.
const TOP: &str = "/var/cache/mock";

/// The end of what the folder of a package manager is called.
const OF_MANAGER: &str = "_cache";

/// The repositories of a configuration, as far as something is kept of them.
#[derive(Debug, Clone, Default)]
pub struct Caches {
    /// Names, and the folders that dnf has made for them.
    repositories: Vec<(String, PathBuf)>,
}

impl Caches {
    /// Asks mock where they are.
    pub async fn find(host: Host, chroot: ChrootName) -> anyhow::Result<Self> {
        let arguments = [
            "--configdir".into(),
            chroot.config_dir.into_os_string(),
            "-r".into(),
            chroot.config.into_os_string(),
            "--debug-config-expanded".into(),
        ];
        let mut command = tokio::process::Command::new(&host.program);
        let asking = host.environment(command.args(arguments)).kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, asking).await.context("it takes too long")??;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Self::of(&String::from_utf8_lossy(&output.stdout))
    }

    /// Those of a configuration, as mock prints it.
    fn of(config: &str) -> anyhow::Result<Self> {
        let root = option(config, "root").context("it names no root")?;
        let top = Path::new(option(config, "cache_topdir").unwrap_or(TOP)).join(root);
        let mut repositories = Vec::new();
        for manager in folders(&top).into_iter().filter(|(name, _)| name.ends_with(OF_MANAGER)) {
            for (name, path) in folders(&manager.1) {
                let called = name.rsplit_once('-').filter(|(_, hash)| hash.chars().all(|c| c.is_ascii_hexdigit()));
                // There may be more that were in the configuration once, or that one build has brought along.
                if let Some((name, _)) = called.filter(|(name, _)| config.contains(&format!("[{name}]"))) {
                    repositories.push((name.to_owned(), path));
                }
            }
        }
        repositories.sort();
        repositories.dedup_by(|one, other| one.0 == other.0);
        Ok(Self { repositories })
    }

    /// What each of them offered last.
    pub fn states(&self) -> Vec<RepositoryState> {
        let repomd = |path: &Path| fs_err::read(path.join("repodata/repomd.xml")).ok();
        self.repositories.iter().filter_map(|(name, path)| Some(repository_state(name, &repomd(path)?))).collect()
    }

    /// Says of what is installed what it is and where it comes from.
    pub fn complete(&self, installed: Vec<Installed>) -> Vec<Package> {
        let mut files = HashMap::new();
        for (name, path) in &self.repositories {
            for (file, path) in entries(&path.join("packages")) {
                files.insert(file, (name, path));
            }
        }
        let completed = |Installed { mut package, built, size }: Installed| {
            let Package { name, version, release, arch: Some(arch), .. } = &package else { return package };
            if let Some((repository, path)) = files.get(&format!("{name}-{version}-{release}.{arch}.rpm"))
                && let Ok(Some(identity)) = read_identity(path, &Limits::default())
                && is_it(&identity, package.epoch, built, size)
            {
                package.digest = Some(Digest::from_bytes(identity.digest));
                package.repository = Some((*repository).clone());
            }
            package
        };
        installed.into_iter().map(completed).collect()
    }
}

fn is_it(identity: &Identity, epoch: Option<u32>, built: u64, size: u64) -> bool {
    (identity.nevra.epoch, identity.built, identity.installed_size) == (epoch, Some(built), size)
}

/// The value of an option that is a plain text.
fn option<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("config_opts['{name}'] = '");
    config.lines().find_map(|line| line.strip_prefix(start.as_str())?.strip_suffix('\''))
}

fn folders(path: &Path) -> Vec<(String, PathBuf)> {
    let is_folder = |path: &PathBuf| fs_err::symlink_metadata(path).is_ok_and(|entry| entry.is_dir());
    entries(path).into_iter().filter(|(_, path)| is_folder(path)).collect()
}

/// What lies in a folder; nothing if there is none.
fn entries(path: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs_err::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caches_of_a_configuration_are_found_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("f13/dnf_cache");
        for (name, revision) in [("base-0123456789abcdef", 7), ("updates-testing-00ff", 9), ("gone-00ff", 1), ("x", 1)]
        {
            let folder = cache.join(name).join("repodata");
            fs_err::create_dir_all(&folder).unwrap();
            fs_err::write(folder.join("repomd.xml"), format!("<revision>{revision}</revision>")).unwrap();
        }
        fs_err::create_dir_all(dir.path().join("f13/root_cache/base-00ff")).unwrap();
        let config = format!(
            "config_opts['cache_topdir'] = '{}'\nconfig_opts['dnf.conf'] = ('[main]\\n'\n '[base]\\n'\n '[updates-testing]\\n')\n\
             config_opts['root'] = 'f13'\n",
            dir.path().display()
        );
        let states = Caches::of(&config).unwrap().states();
        let told: Vec<_> = states.iter().map(|one| (one.name.as_str(), one.revision.as_deref())).collect();
        assert_eq!(told, [("base", Some("7")), ("updates-testing", Some("9"))]);
        assert!(Caches::of("config_opts['cache_topdir'] = '/x'\n").is_err());
    }

    #[test]
    fn another_build_of_a_package_is_not_what_is_installed() {
        let identity = Identity { nevra: Default::default(), digest: [1; 32], built: Some(7), installed_size: 9 };
        assert!(is_it(&identity, None, 7, 9));
        assert!(!is_it(&identity, Some(1), 7, 9) && !is_it(&identity, None, 8, 9) && !is_it(&identity, None, 7, 8));
    }
}
