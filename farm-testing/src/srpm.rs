//! Small source packages, made by rpmbuild from specs of our own.

use std::{
    fmt::Write as _,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::profile_dir;

/// A small package: a test says what matters to it, the rest is filled in.
///
/// ```no_run
/// let srpm = farm_testing::Spec::named("slow").build("sleep 600").srpm();
/// ```
#[derive(Debug, Clone)]
pub struct Spec {
    name: String,
    version: String,
    preamble: String,
    build: String,
    install: String,
    check: String,
}

impl Spec {
    /// A package of this name that is built in a moment, for any architecture, with one file in it.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "1".to_owned(),
            preamble: "BuildArch: noarch\n".to_owned(),
            build: String::new(),
            install: "mkdir -p %{buildroot}/usr/share/%{name}\n\
                      echo 'built by the farm' > %{buildroot}/usr/share/%{name}/greeting\n"
                .to_owned(),
            check: String::new(),
        }
    }

    /// Its version; 1 if not said.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// One more line before the sections, as in `BuildRequires: gcc`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        let _ = writeln!(self.preamble, "{line}");
        self
    }

    /// A package of machine code: not `noarch`.
    #[must_use]
    pub fn for_each_arch(mut self) -> Self {
        self.preamble = self.preamble.replace("BuildArch: noarch\n", "");
        self
    }

    /// What `%build` does.
    #[must_use]
    pub fn build(mut self, script: &str) -> Self {
        let _ = writeln!(self.build, "{script}");
        self
    }

    /// What `%install` does besides installing the greeting.
    #[must_use]
    pub fn install(mut self, script: &str) -> Self {
        let _ = writeln!(self.install, "{script}");
        self
    }

    /// What `%check` does.
    #[must_use]
    pub fn check(mut self, script: &str) -> Self {
        let _ = writeln!(self.check, "{script}");
        self
    }

    /// The text of the spec.
    pub fn text(&self) -> String {
        let Self { name, version, preamble, build, install, check } = self;
        format!(
            "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: A package for tests\nLicense: GPL-2.0-or-later\n\
             {preamble}\n%description\nA package for tests.\n\n%build\n{build}\n%install\n{install}\n%check\n{check}\n\
             %files\n/usr/share/%{{name}}\n"
        )
    }

    /// The source package.
    pub fn srpm(&self) -> PathBuf {
        srpm(&self.name, &self.text(), &[])
    }
}

/// The source package of a spec and its files, as the path of `NAME-….src.rpm`.
///
/// It is kept in cargo's target folder, so that the next run finds it.
pub fn srpm(name: &str, spec: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (name, spec, files).hash(&mut hasher);
    let kept = profile_dir().parent().unwrap().join(format!("tmp/srpms/{:016x}", hasher.finish()));
    if !kept.exists() {
        fs_err::create_dir_all(kept.parent().unwrap()).unwrap();
        let made = tempfile::tempdir_in(kept.parent().unwrap()).unwrap();
        rpmbuild(made.path(), name, spec, files);
        // Made aside and renamed: what is there is whole. If another test was faster, its package is as good.
        let _ = fs_err::rename(made.path().join("SRPMS"), &kept);
    }
    let mut entries = fs_err::read_dir(&kept).unwrap();
    entries.next().unwrap().unwrap().path()
}

fn rpmbuild(dir: &Path, name: &str, spec: &str, files: &[(&str, &[u8])]) {
    for (file, bytes) in files {
        fs_err::write(dir.join(file), bytes).unwrap();
    }
    let spec_file = dir.join(format!("{name}.spec"));
    fs_err::write(&spec_file, spec).unwrap();
    let output = Command::new("rpmbuild")
        .args(["-bs", "--nodeps", "--define", &format!("_topdir {}", dir.display())])
        .args(["--define", "_sourcedir %{_topdir}", "--define", "_srcrpmdir %{_topdir}/SRPMS"])
        .args(["--define", "_buildhost localhost"])
        .arg(spec_file)
        .env("SOURCE_DATE_EPOCH", "0")
        .output()
        .unwrap_or_else(|error| {
            panic!("cannot run rpmbuild: {error}; install the package rpm (Debian) or rpm-build (Fedora)")
        });
    assert!(output.status.success(), "rpmbuild refuses {name}.spec:\n{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_made_once_and_named_after_its_spec() {
        let spec = Spec::named("tiny").version("2.5").line("BuildRequires: gcc").build("true");
        let path = spec.srpm();
        assert!(path.ends_with("tiny-2.5-1.src.rpm"), "{}", path.display());
        assert_eq!(fs_err::read(&path).unwrap()[..4], [0xed, 0xab, 0xee, 0xdb]);
        assert_eq!(spec.srpm(), path);
    }

    #[test]
    fn a_package_can_have_sources() {
        let spec = format!("{}\n", Spec::named("sourced").line("Source0: hello.txt").text());
        assert!(srpm("sourced", &spec, &[("hello.txt", b"hello")]).exists());
    }

    #[test]
    #[should_panic(expected = "rpmbuild refuses broken.spec")]
    fn a_spec_that_is_wrong_is_shown_with_rpmbuilds_words() {
        srpm("broken", "Name: broken\n", &[]);
    }
}
