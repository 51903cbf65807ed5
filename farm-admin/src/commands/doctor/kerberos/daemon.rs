//! The configurations of daemons, as far as Kerberos is concerned.

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use farm_daemon::KerberosConfig;
use serde::Deserialize;

use super::super::finding::Finding;
use crate::daemons::Daemon;

/// Where the daemons of a machine are configured.
const FOLDER: &str = "/etc/farm";

/// A daemon to examine.
#[derive(Debug)]
pub(super) struct Subject {
    /// As in `farm-web`; for findings.
    pub name: String,
    pub daemon: Daemon,
    pub file: PathBuf,
    pub settings: Settings,
}

/// What its configuration says. The daemon itself reads more, and is strict: see `--check-config`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    pub database: Option<String>,
    pub service: Option<String>,
    pub hub: Option<String>,
    pub kerberos: KerberosConfig,
}

impl Settings {
    fn mentions_kerberos(&self) -> bool {
        self.service.is_some() || self.kerberos.client_keytab.is_some() || self.kerberos.service_keytab.is_some()
    }
}

impl Subject {
    /// A finding about a part of it, by name.
    pub(super) fn topic(&self, part: &str) -> String {
        format!("{} {part}", self.name)
    }

    /// Whether its keytab is for the database; a builder's is for the hub.
    pub(super) fn uses_database(&self) -> bool {
        self.settings.database.is_some() && self.settings.kerberos.client_keytab.is_some()
    }
}

/// The configurations in these files, or else of this machine, that mention Kerberos; and what cannot be read.
pub(super) fn subjects(files: &[PathBuf]) -> (Vec<Subject>, Vec<Finding>) {
    let files = if files.is_empty() { usual_files(Path::new(FOLDER)) } else { files.to_vec() };
    let (mut subjects, mut findings) = (Vec::new(), Vec::new());
    for file in files {
        match read(&file) {
            Ok(subject) if subject.settings.mentions_kerberos() => subjects.push(subject),
            Ok(_) => {}
            Err(finding) => findings.push(finding),
        }
    }
    (subjects, findings)
}

fn usual_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|file| daemon_of(file).is_some() && is_toml(file)).collect();
    files.sort();
    files
}

fn is_toml(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "toml")
}

/// The daemon that a file is for: `farm-web.toml`, and `farm-builder-2.toml` of a second one.
fn daemon_of(file: &Path) -> Option<(String, Daemon)> {
    let stem = file.file_stem()?.to_str()?;
    let name = stem.strip_prefix("farm-")?;
    let first = name.split('-').next()?;
    Some((stem.to_owned(), Daemon::value_variants().iter().copied().find(|daemon| daemon.name() == first)?))
}

fn read(file: &Path) -> Result<Subject, Finding> {
    let topic = file.display().to_string();
    let Some((name, daemon)) = daemon_of(file) else {
        return Err(Finding::wrong(&topic, "does not say by its name which daemon it is for").mend(
            "call it farm-web.toml, farm-hub.toml, farm-validator.toml, farm-janitor.toml, farm-publisher.toml or \
             farm-builder.toml",
        ));
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Finding::wrong(&topic, format!("cannot be read: {error}")).mend("run the doctor as root"))?;
    let settings = toml::from_str(&text).map_err(|error| {
        let detail = format!("cannot be understood: {}", error.message().trim_end().replace('\n', ", "));
        Finding::wrong(&topic, detail).mend(format!("farm-{} --check-config --config {topic}", daemon.name()))
    })?;
    Ok(Subject { name, daemon, file: file.to_owned(), settings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_known_by_the_name_of_its_file() {
        let daemon = |file: &str| daemon_of(Path::new(file)).map(|(name, daemon)| (name, daemon.name()));
        assert_eq!(daemon("/etc/farm/farm-web.toml"), Some(("farm-web".to_owned(), "web")));
        assert_eq!(daemon("farm-builder-2.toml"), Some(("farm-builder-2".to_owned(), "builder")));
        assert_eq!(daemon("/etc/farm/farm-website.toml"), None);
        assert_eq!(daemon("/etc/farm/web.toml"), None);
    }

    #[test]
    fn of_a_folder_only_the_daemons_configurations_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["farm-web.toml", "farm-hub.toml", "farm-hub.toml.old", "builder.token", "notes.toml"] {
            fs_err::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<_> = usual_files(dir.path()).iter().map(|file| file.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["farm-hub.toml", "farm-web.toml"]);
    }
}
