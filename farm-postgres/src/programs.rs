//! The server programs on this machine.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::PostgresError;

/// The oldest major version whose SQL the farm's migrations can rely on.
pub const OLDEST_VERSION: u32 = 15;

/// A folder with PostgreSQL's server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    bindir: PathBuf,
    version: u32,
}

impl Programs {
    /// Looks for the newest version, or for the one that made an existing database.
    pub fn find(wanted: Option<u32>) -> Result<Self, PostgresError> {
        let mut found: Vec<Self> = candidates().into_iter().filter_map(Self::at).collect();
        // Stable: of equal versions the one that pg_config names stays first.
        found.sort_by_key(|programs| std::cmp::Reverse(programs.version));
        let Some(newest) = found.first().cloned() else {
            let searched = wanted.map(|version| format!(" in version {version}")).unwrap_or_default();
            return Err(PostgresError::NotInstalled { searched });
        };
        if newest.version < OLDEST_VERSION {
            return Err(PostgresError::TooOld { found: newest.version, bindir: newest.bindir, oldest: OLDEST_VERSION });
        }
        Ok(found.into_iter().find(|programs| Some(programs.version) == wanted).unwrap_or(newest))
    }

    /// The major version, as in 15.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The path of one of the programs.
    pub fn path(&self, program: &str) -> PathBuf {
        self.bindir.join(program)
    }

    fn at(bindir: PathBuf) -> Option<Self> {
        let postgres = bindir.join("postgres");
        if !bindir.join("initdb").is_file() || !postgres.is_file() {
            return None;
        }
        let output = Command::new(postgres).arg("--version").output().ok()?;
        let version = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { bindir, version })
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        dirs.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    dirs.extend(children("/usr/lib/postgresql", |_| true)); // Debian
    dirs.extend(children("/usr", |name| name.to_string_lossy().starts_with("pgsql-"))); // packages of the PostgreSQL project
    dirs.push(PathBuf::from("/usr/bin")); // Fedora
    dirs
}

/// The folders `bin` one level below.
fn children(dir: &str, wanted: impl Fn(&OsStr) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(Path::new(dir)) else { return Vec::new() };
    entries.flatten().filter(|e| wanted(&e.file_name())).map(|e| e.path().join("bin")).collect()
}

/// The 15 of `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`, `18beta1` and the like.
fn major_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().nth(2)?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("postgres (PostgreSQL)"), None);
        assert_eq!(major_version("a b c"), None);
    }

    #[test]
    fn the_machine_has_a_version_that_will_do() {
        assert!(Programs::find(None).unwrap().version() >= OLDEST_VERSION);
    }
}
