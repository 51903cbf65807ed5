//! What these tests share.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use farm_testing::Realm;
use serde_json::Value;
use tempfile::TempDir;

/// Where what is for administrators lies.
pub fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

/// A program that works in a realm, with the rights of its administrator.
pub fn command_in(realm: &Realm, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(realm.env())
        .env("KRB5_KDC_PROFILE", realm.dir().join("kdc.conf"))
        .env("LC_ALL", "C");
    command
}

/// Runs it, and gives what it printed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that a program said.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Changes something on the KDC.
pub fn administer(realm: &Realm, query: &[&str]) {
    run(command_in(realm, "kadmin.local").args(query));
}

/// The configurations of a machine, to be examined by the doctor.
pub struct Patient {
    dir: TempDir,
    files: Vec<PathBuf>,
    env: Vec<(String, String)>,
    /// How the clock goes, as faketime(1) reads it.
    clock: Option<&'static str>,
}

impl Patient {
    /// A machine in a realm.
    pub fn of(realm: &Realm) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), files: Vec::new(), env: realm.env(), clock: None }
    }

    /// With a daemon.
    #[must_use]
    pub fn with(mut self, daemon: &str, config: &str) -> Self {
        let file = self.dir.path().join(format!("farm-{daemon}.toml"));
        fs_err::write(&file, config).unwrap();
        self.files.push(file);
        self
    }

    /// The configuration of a daemon.
    pub fn file(&self, daemon: &str) -> String {
        self.dir.path().join(format!("farm-{daemon}.toml")).display().to_string()
    }

    /// With a clock that is wrong.
    #[must_use]
    pub fn clock(mut self, clock: &'static str) -> Self {
        self.clock = Some(clock);
        self
    }

    /// With another `krb5.conf`.
    #[must_use]
    pub fn config(mut self, path: &Path) -> Self {
        self.env.push(("KRB5_CONFIG".to_owned(), path.display().to_string()));
        self
    }

    /// The doctor, about to look.
    pub fn doctor(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_farm-admin");
        let mut command = match self.clock {
            Some(clock) => {
                let mut faketime = Command::new("faketime");
                faketime.args(["-f", clock, program]);
                faketime
            }
            None => Command::new(program),
        };
        for variable in ["FARM_DATABASE", "FARM_DATA", "PGHOST", "PGUSER"] {
            command.env_remove(variable);
        }
        command.envs(self.env.clone()).args(["doctor", "--kerberos"]);
        for file in &self.files {
            command.arg("--config").arg(file);
        }
        command
    }

    /// What the doctor finds.
    pub fn findings(&self) -> Findings {
        let output = self.doctor().arg("--json").output().unwrap();
        let findings: Vec<Value> =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
        let wrong = findings.iter().any(|finding| finding["verdict"] == "wrong");
        assert_eq!(output.status.code(), Some(i32::from(wrong)), "{findings:#?}");
        Findings(findings)
    }
}

/// What the doctor found.
#[derive(Debug)]
pub struct Findings(Vec<Value>);

impl Findings {
    /// The one finding that is not well, by its name, with these words in its detail and in its cure.
    #[track_caller]
    pub fn only(&self, name: &str, verdict: &str, detail: &str, cure: &str) {
        let sick: Vec<_> = self.0.iter().filter(|finding| finding["verdict"] != "ok").collect();
        assert_eq!(sick.len(), 1, "{self:#?}");
        self.has(name, verdict, detail, cure);
    }

    /// A finding among others.
    #[track_caller]
    pub fn has(&self, name: &str, verdict: &str, detail: &str, cure: &str) {
        let fits = |finding: &&Value| {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            finding["name"] == name
                && finding["verdict"] == verdict
                && text("detail").contains(detail)
                && text("cure").contains(cure)
        };
        assert!(
            self.0.iter().any(|finding| fits(&finding)),
            "no {verdict} {name} with “{detail}”, “{cure}”: {self:#?}"
        );
    }

    /// All is well, and this was looked at.
    #[track_caller]
    pub fn well(&self, names: &[&str]) {
        assert!(self.0.iter().all(|finding| finding["verdict"] == "ok"), "{self:#?}");
        let found: Vec<_> = self.0.iter().map(|finding| finding["name"].as_str().unwrap()).collect();
        assert_eq!(found, names);
    }
}
