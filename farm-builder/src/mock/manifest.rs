//! `installed_pkgs.log`: what was installed in a chroot when rpmbuild began.
//!
//! mock lists it with the rpm of its host, a package a line: `gcc-4:12.2.0-3.f13.x86_64 1700000000 0 installed`, with the time when
//! it was built and its size. No digest, and no repository: for these see `caches.rs`.

use std::{
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use farm_api::record::Package;
use rustix::fs::OFlags;

/// The most that such a list may have.
const MOST: u64 = 16 << 20;

/// A line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The package, without what the line does not say.
    pub package: Package,
    /// When it was built, in seconds since 1970.
    pub built: u64,
    /// Bytes that it takes.
    pub size: u64,
}

/// What mock has listed in its folder of results, by name; nothing if it came to no list, or if the rpm of the host does not find
/// the database of the chroot.
pub fn installed(folder: &Path) -> io::Result<Vec<Installed>> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let path = folder.join("installed_pkgs.log");
    let file = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text)?;
    packages(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "mock lists installed packages in an unknown form"))
}

fn packages(text: &str) -> Option<Vec<Installed>> {
    let mut packages: Vec<Installed> = text.lines().map(installed_by).collect::<Option<_>>()?;
    packages.sort_by(|one, other| one.package.cmp(&other.package));
    Some(packages)
}

fn installed_by(line: &str) -> Option<Installed> {
    let (nevra, rest) = line.split_once(' ')?;
    let mut numbers = rest.split(' ').map_while(|word| word.parse().ok());
    let (built, size) = (numbers.next()?, numbers.next()?);
    Some(Installed { package: package(nevra)?, built, size })
}

fn package(nevra: &str) -> Option<Package> {
    let (nevr, arch) = nevra.rsplit_once('.')?;
    let (nev, release) = nevr.rsplit_once('-')?;
    let (name, version) = nev.rsplit_once('-')?;
    let (epoch, version) = match version.split_once(':') {
        Some((epoch, version)) => (Some(epoch.parse().ok()?), version),
        None => (None, version),
    };
    let is_something = [name, version, release, arch].iter().all(|part| !part.is_empty());
    is_something.then(|| Package {
        name: name.to_owned(),
        epoch,
        version: version.to_owned(),
        release: release.to_owned(),
        // Keys have none, for which rpm has words of its own.
        arch: Some(arch.to_owned()).filter(|arch| arch != "(none)" && arch != "pubkey"),
        digest: None,
        repository: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_real_mock_is_read() {
        let packages = packages(include_str!("../../tests/mock/logs/success/installed_pkgs.log")).unwrap();
        let names: Vec<_> = packages.iter().map(|installed| installed.package.nevra()).collect();
        for name in ["filesystem-1-1.mini12.x86_64", "gcc-4:12.2.0-3.mini12.x86_64"] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
        assert!(packages.is_sorted_by_key(|installed| &installed.package));
        let filesystem = packages.iter().find(|installed| installed.package.name == "filesystem").unwrap();
        assert_eq!((filesystem.built, filesystem.size), (1_700_000_000, 533));
    }

    #[test]
    fn a_key_has_no_architecture() {
        for arch in ["(none)", "pubkey"] {
            let key = package(&format!("gpg-pubkey-a15b79cc-63d04c2c.{arch}")).unwrap();
            assert_eq!(key.nevra(), "gpg-pubkey-a15b79cc-63d04c2c");
        }
    }

    #[test]
    fn a_list_in_another_form_is_no_list() {
        for text in [
            "error: cannot open Packages database\n",
            "a-1.x86_64 1 2 installed\n",
            "a--1.x 1 2 installed\n",
            "a-1-1.x x 2\n",
            "\n",
        ] {
            assert_eq!(packages(text), None, "{text}");
        }
    }

    #[test]
    fn where_mock_has_listed_nothing_there_is_nothing_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(installed(folder.path()).unwrap(), []);
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("installed_pkgs.log")).unwrap();
        installed(folder.path()).unwrap_err();
    }
}
