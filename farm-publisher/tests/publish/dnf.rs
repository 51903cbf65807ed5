//! What a user does with a repository.

use std::{collections::BTreeMap, process::Command};

use farm_types::Digest;
use tempfile::TempDir;

use crate::farm::digest;

/// A dnf with a cache of its own. It believes the metadata that it has read once.
pub struct Dnf {
    url: String,
    dir: TempDir,
}

impl Dnf {
    pub fn on(url: &str) -> Self {
        Self { url: url.to_owned(), dir: tempfile::tempdir().unwrap() }
    }

    /// The names of all packages, sorted.
    pub fn packages(&self) -> Vec<String> {
        let listed = self.run(&["repoquery", "--qf", "%{name}"]);
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The files of these packages, with their digests.
    pub fn download(&self, packages: &[&str]) -> BTreeMap<String, Digest> {
        let into = tempfile::tempdir_in(self.dir.path()).unwrap();
        let destdir = format!("--destdir={}", into.path().display());
        self.run(&[&["install", "--downloadonly", &destdir], packages].concat());
        let files = fs_err::read_dir(into.path()).unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), digest(&fs_err::read(entry.path()).unwrap()))
        });
        files.collect()
    }

    fn run(&self, args: &[&str]) -> String {
        let dir = self.dir.path().display();
        let output = Command::new("dnf")
            // Debian's plugin adds a repository of its own.
            .args(["--noplugins", "--quiet", "--assumeyes", "--nogpgcheck", "--releasever=1"])
            .args(["--setopt=reposdir=/nonexistent", "--setopt=metadata_expire=never"])
            .args([format!("--setopt=cachedir={dir}/cache"), format!("--setopt=logdir={dir}")])
            .args([format!("--installroot={dir}/root"), format!("--repofrompath=farm,{}", self.url)])
            .args(args)
            .output()
            .unwrap_or_else(|error| panic!("cannot run dnf: {error}; install the package dnf"));
        assert!(output.status.success(), "dnf {args:?}:\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}
