//! A small dnf repository that a test makes, and the keys that sign it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use farm_api::recipe;
use tempfile::TempDir;

use super::script;

/// A repository, gone when dropped.
pub struct Repository {
    dir: TempDir,
}

impl Repository {
    /// An empty one.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Helpers are others.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::create_dir(dir.path().join("repo")).unwrap();
        let repository = Self { dir };
        repository.index();
        repository
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    /// As a part of a recipe.
    pub fn described(&self) -> recipe::Repository {
        recipe::Repository {
            name: "tests".to_owned(),
            baseurl: Some(format!("file://{}", self.folder().display())),
            metalink: None,
            gpgcheck: false,
            gpgkey: None,
            priority: None,
            enabled: true,
        }
    }

    /// Puts a package into it that has one file with this text, and perhaps more in its spec; answers where it lies.
    pub fn add(&self, name: &str, version: &str, text: &str, sections: &str) -> PathBuf {
        let install = format!("echo '{text}' > %{{buildroot}}/usr/share/script/file");
        let spec = script(&[("INSTALL", &install), ("SECTIONS", sections)])
            .replace("Name: script", &format!("Name: {name}"))
            .replace("Version: 1", &format!("Version: {version}"))
            .replace("/usr/share/script", &format!("/usr/share/{name}"));
        let (path, top) = (self.dir.path().join("package.spec"), self.dir.path().join("top"));
        std::fs::write(&path, spec).unwrap();
        run(Command::new("rpmbuild").args(["-bb", "--define"]).arg(format!("_topdir {}", top.display())).arg(&path));
        let file = format!("{name}-{version}-1.noarch.rpm");
        let kept = self.folder().join(&file);
        std::fs::rename(top.join("RPMS/noarch").join(&file), &kept).unwrap();
        self.index();
        kept
    }

    /// Says what it offers now.
    pub fn index(&self) {
        run(Command::new("createrepo_c").args(["--quiet", "--general-compress-type=gz"]).arg(self.folder()));
    }

    /// Says so, and that these packages are a group.
    pub fn index_with_group(&self, group: &str, packages: &[&str]) {
        let list: String =
            packages.iter().map(|name| format!("<packagereq type='mandatory'>{name}</packagereq>")).collect();
        let comps = format!(
            "<?xml version='1.0'?><comps><group><id>{group}</id><name>{group}</name><description>-</description>\
             <default>true</default><uservisible>true</uservisible><packagelist>{list}</packagelist></group></comps>"
        );
        let path = self.dir.path().join("comps.xml");
        std::fs::write(&path, comps).unwrap();
        let mut command = Command::new("createrepo_c");
        run(command.args(["--quiet", "--general-compress-type=gz", "-g"]).arg(path).arg(self.folder()));
    }
}

/// A key that signs packages.
pub struct Key {
    home: TempDir,
}

impl Key {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let key = Self { home };
        run(key.gpg().args(["--quick-generate-key", "Test <test@example.org>", "rsa2048", "sign", "never"]));
        key
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", self.home.path()).args(["--batch", "--quiet", "--passphrase", ""]);
        gpg
    }

    /// Writes what checks its signatures to a file; answers the URL.
    pub fn export(&self, path: &Path) -> String {
        run(self.gpg().args(["--armor", "--export", "--output"]).arg(path));
        format!("file://{}", path.display())
    }

    /// Signs a package.
    pub fn sign(&self, package: &Path) {
        let mut rpmsign = Command::new("rpmsign");
        rpmsign.env("GNUPGHOME", self.home.path()).args(["--define", "__gpg /usr/bin/gpg"]);
        rpmsign.args(["--define", "_gpg_name test@example.org", "--addsign"]);
        run(rpmsign.arg(package));
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // It began an agent.
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.home.path()).args(["--kill", "all"]).status();
    }
}

fn run(command: &mut Command) {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {name} ({error}): run deploy/setup"));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}
