//! The source package of the self test.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use farm_types::Digest;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// The name of the package.
pub(super) const NAME: &str = "farm-selftest";

const SPEC: &str = include_str!("selftest.spec");

/// A source package on this machine.
#[derive(Debug)]
pub(super) struct Package {
    pub file: PathBuf,
    pub version: String,
    pub digest: Digest,
    pub size: u64,
}

/// Packs it: by rpmbuild, whose packages are what a farm is made for.
pub(super) fn make(dir: &Path) -> anyhow::Result<Package> {
    let version = Timestamp::now().strftime("%Y%m%d.%H%M%S.%6f").to_string();
    let spec = dir.join(format!("{NAME}.spec"));
    fs_err::write(&spec, SPEC.replace("@VERSION@", &version))?;
    let output = Command::new("rpmbuild")
        .args(["-bs", "--nodeps", "--define", &format!("_topdir {}", dir.display())])
        .args(["--define", "_srcrpmdir %{_topdir}", "--define", "_buildhost localhost"])
        .arg(&spec)
        // The user's own macros stay out.
        .env("HOME", dir)
        .output()
        .context("cannot run rpmbuild; install the package rpm (Debian) or rpm-build (Fedora)")?;
    if !output.status.success() {
        bail!("rpmbuild does not pack the package:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let file = dir.join(format!("{NAME}-{version}-1.src.rpm"));
    let bytes = fs_err::read(&file)?;
    Ok(Package { file, version, digest: Digest::from_bytes(Sha256::digest(&bytes).into()), size: bytes.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_one_that_the_farm_accepts() {
        let dir = tempfile::tempdir().unwrap();
        let package = make(dir.path()).unwrap();
        let source = farm_rpm::read_source(&package.file, &farm_rpm::Limits::default()).unwrap().accept().unwrap();
        assert_eq!((source.nevra.name.as_str(), &source.nevra.version), (NAME, &package.version));
    }

    #[test]
    fn no_two_packages_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        assert_ne!(make(dir.path()).unwrap().digest, make(dir.path()).unwrap().digest);
    }
}
