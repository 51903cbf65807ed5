//! What there is without a farm: a script that calls dnf and rpmbuild, one after the other, in a plain chroot.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use farm_api::recipe::Recipe;

use crate::common::platform;

/// Runs rpmbuild in the chroot `$1`, in its folder `$3` and `$4` times, and prints how long that took, in microseconds. (`--nocheck` it is
/// not.)
const RPMBUILD: &str = r#"set -eu
mount -t proc proc "$1/proc"; mount --bind /dev "$1/dev"
rm -rf "$1/$3/rpmbuild"; mkdir -p "$1/$3"
began=$EPOCHREALTIME
for ((n = 0; n < $4; n++)); do
    chroot "$1" /usr/bin/env -i HOME="/$3" LANG=C.UTF-8 PATH=/usr/bin:/usr/sbin rpmbuild --rebuild "$5" > "$2/$3.log" 2>&1
done
ended=$EPOCHREALTIME
echo $(( ${ended/./} - ${began/./} ))"#;

/// A chroot as such a script makes it.
pub struct Bare {
    dir: PathBuf,
    source: PathBuf,
    recipe: Recipe,
    round: u32,
}

/// How long the parts of the script took, in milliseconds.
pub struct Parts {
    pub base: f64,
    pub dependencies: f64,
    pub rpmbuild: f64,
}

impl Bare {
    pub fn new(dir: &Path, source: &Path) -> Self {
        assert!(rustix::process::geteuid().is_root(), "the plain chroot that builds are measured against takes root");
        std::fs::create_dir_all(dir.join("home")).unwrap();
        let recipe = platform("mini12");
        let mut config = "[main]\nreposdir=/nonexistent\nplugins=0\ninstall_weak_deps=0\ntsflags=nodocs\n".to_owned();
        for repository in &recipe.repositories {
            let url = repository.baseurl.as_deref().unwrap();
            config.push_str(&format!("[{0}]\nname={0}\nbaseurl={url}\ngpgcheck=0\n", repository.name));
        }
        std::fs::write(dir.join("dnf.conf"), config).unwrap();
        // Where the platform's rpm has its database.
        std::fs::write(dir.join("home/.rpmmacros"), "%_dbpath /var/lib/rpm\n").unwrap();
        Self { dir: dir.to_owned(), source: source.to_owned(), recipe, round: 0 }
    }

    /// The whole script, from nothing.
    pub fn cold(&mut self) -> Parts {
        // Another one each time, and nothing is removed: for minutes ext4 is slow to make files where many were removed.
        self.round += 1;
        let base: Vec<&str> = self.recipe.base.iter().map(String::as_str).collect();
        let base = self.dnf(&base);
        let dependencies = self.dnf(&["gcc", "make", "bison", "flex"]);
        std::fs::create_dir_all(self.root().join("builddir")).unwrap();
        std::fs::copy(&self.source, self.root().join("builddir/in.src.rpm")).unwrap();
        Parts { base, dependencies, rpmbuild: self.rpmbuild() }
    }

    /// `rpmbuild --rebuild` alone, in the chroot that the script has made.
    pub fn rpmbuild(&self) -> f64 {
        self.rebuild("builddir", 1, "/builddir/in.src.rpm")
    }

    /// How much faster so many builds of a source are when two are made at once: what two slots could gain if a farm cost nothing.
    pub fn two_over_one(&self, source: &Path, builds: usize) -> f64 {
        std::fs::copy(source, self.root().join("builddir/small.src.rpm")).unwrap();
        let lane = |name: &'static str, builds| self.rebuild(name, builds, "/builddir/small.src.rpm");
        let one = lane("one", builds);
        let two = std::thread::scope(|scope| {
            ["one", "two"].map(|name| scope.spawn(move || lane(name, builds / 2))).map(|lane| lane.join().unwrap())
        });
        one / two[0].max(two[1])
    }

    fn rebuild(&self, folder: &str, times: usize, source: &str) -> f64 {
        for folder in ["proc", "dev"] {
            std::fs::create_dir_all(self.root().join(folder)).unwrap();
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "--", "bash", "-c", RPMBUILD, "rpmbuild"]).arg(self.root());
        let printed = run(command.arg(&self.dir).args([folder, &times.to_string(), source]));
        printed.trim().parse::<f64>().unwrap() / 1000.0
    }

    fn root(&self) -> PathBuf {
        self.dir.join(format!("root-{}", self.round))
    }

    fn dnf(&self, packages: &[&str]) -> f64 {
        let began = Instant::now();
        let mut command = Command::new("dnf");
        command.env("HOME", self.dir.join("home")).args(["--assumeyes", "--quiet", "--releasever=0", "-c"]);
        command.arg(self.dir.join("dnf.conf")).arg("--installroot").arg(self.root()).arg("install").args(packages);
        run(&mut command);
        began.elapsed().as_secs_f64() * 1000.0
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
