//! What is installed in a chroot when its build begins.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use farm_api::record::Package;
use farm_types::Cause;

use super::{attempt::Attempt, failure::End, needs};
use crate::sandbox::{Answer, Chroot, Order};

/// Chroots of which it is remembered what is in them.
const REMEMBERED: usize = 256;

/// What the repository of an attempt's own is called, in which is what this job and those before it made.
pub const RESULTS: &str = "farm-results";

/// What is in chroots that do not change, by what they are called.
#[derive(Debug, Default)]
pub struct Inventories(Mutex<HashMap<PathBuf, Arc<Vec<Package>>>>);

impl Inventories {
    /// What is installed in a chroot, by name. `same` is what all chroots are called that have the same in them, if there is more than one.
    pub async fn of(
        &self,
        attempt: &mut Attempt<'_>,
        chroot: &Chroot,
        same: Option<&Path>,
    ) -> Result<Arc<Vec<Package>>, End> {
        let known = |same: &Path| self.0.lock().unwrap_or_else(PoisonError::into_inner).get(same).cloned();
        if let Some(packages) = same.and_then(known) {
            return Ok(packages);
        }
        let Answer::Inventory(text) = attempt.step(&Order::Inventory { chroot: chroot.clone() }).await? else {
            return Err(attempt.fault(Cause::Internal, "unexpected answer to the question what is installed"));
        };
        let packages =
            Arc::new(packages(&text).ok_or_else(|| {
                attempt.fault(Cause::Chroot, "the rpm of the chroot lists packages in an unknown form")
            })?);
        if let Some(same) = same {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(same.to_owned(), packages.clone());
        }
        Ok(packages)
    }
}

/// What the rpm of a chroot has printed, see `INVENTORY` in `sandbox/steps.rs`. Without the packages of our own making.
fn packages(text: &str) -> Option<Vec<Package>> {
    let some = |field: &str| (!field.is_empty()).then(|| field.to_owned());
    let package = |line: &str| {
        let [name, epoch, version, release, arch, digest] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        Some(Package {
            name: name.to_owned(),
            epoch: some(epoch).map(|epoch| epoch.parse()).transpose().ok()?,
            version: version.to_owned(),
            release: release.to_owned(),
            arch: some(arch),
            digest: some(digest).map(|digest| digest.parse()).transpose().ok()?,
            repository: None,
        })
    };
    let mut packages: Vec<Package> = text.lines().map(package).collect::<Option<_>>()?;
    packages.retain(|package| !needs::is_ours(&package.name));
    packages.sort();
    Some(packages)
}

/// Says of packages which repository they come from, as far as that is known: there is only one, or dnf has kept what it got.
pub fn name_origins(packages: &mut [Package], repositories: &[&str], cache: &Path, own: Option<&Path>) {
    let mut origins = HashMap::new();
    for folder in entries(cache).unwrap_or_default() {
        let called = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
        let Some(name) = called.and_then(|(name, _)| repositories.iter().find(|known| **known == name)) else {
            continue;
        };
        note(&mut origins, &folder.join("packages"), name);
    }
    if let Some(own) = own {
        note(&mut origins, own, RESULTS);
    }
    for package in packages {
        let Package { name, version, release, .. } = &*package;
        let Some(arch) = &package.arch else { continue };
        let only = if let [only] = repositories { Some(*only) } else { None };
        let origin = origins.get(&format!("{name}-{version}-{release}.{arch}.rpm")).map(String::as_str).or(only);
        package.repository = origin.map(str::to_owned);
    }
}

fn note(origins: &mut HashMap<String, String>, folder: &Path, name: &str) {
    for file in entries(folder).unwrap_or_default() {
        if let Some(file) = file.file_name().and_then(|file| file.to_str()) {
            origins.insert(file.to_owned(), name.to_owned());
        }
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs_err::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rpm_prints_is_read_and_packages_of_our_own_are_left_out() {
        let digest = "ab".repeat(32);
        let text = format!(
            "zlib\t\t1.3\t1.f13\tx86_64\t{digest}\nfarm-build-requires-1-1-0\t\t1\t1\tnoarch\t\ngpg-pubkey\t\t1a2b\t3c\t\t\nbash\t3\t5.2\t1\tx86_64\t\n"
        );
        let read = packages(&text).unwrap();
        let names: Vec<_> = read.iter().map(Package::nevra).collect();
        assert_eq!(names, ["bash-3:5.2-1.x86_64", "gpg-pubkey-1a2b-3c", "zlib-1.3-1.f13.x86_64"]);
        assert_eq!(read[2].digest, Some(digest.parse().unwrap()));
        assert_eq!(packages("error: cannot open the database\n"), None);
    }

    #[test]
    fn a_package_comes_from_the_repository_whose_cache_has_it_or_from_the_only_one() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("updates-testing-0123456789abcdef/packages");
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join("zlib-1.3-1.x86_64.rpm"), "").unwrap();
        let origins = |repositories: &[&str]| {
            let mut all = packages("bash\t\t5\t1\tx86_64\t\nzlib\t\t1.3\t1\tx86_64\t\n").unwrap();
            name_origins(&mut all, repositories, cache.path(), None);
            all.into_iter().map(|package| package.repository.unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(origins(&["base", "updates-testing"]), ["", "updates-testing"]);
        assert_eq!(origins(&["base"]), ["base", "base"]);
    }
}
