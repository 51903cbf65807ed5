//! The programs of MIT Kerberos: run with tickets of their own, and understood.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use tempfile::TempDir;

use super::super::{finding::Finding, machine::Machine, programs::PATH};

/// All come in one package.
const PROGRAMS: [&str; 4] = ["klist", "kinit", "kvno", "kswitch"];

/// The programs, and the folder where their tickets are.
#[derive(Debug)]
pub(super) struct Tools {
    dir: TempDir,
}

/// A key in a keytab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub kvno: u32,
    pub principal: String,
}

/// Where the ticket of a daemon is.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    cache: PathBuf,
    /// By how many seconds the KDC's clock is ahead of ours; negative: behind.
    pub skew: i64,
}

/// What is not installed, if anything.
pub(super) fn missing(machine: &Machine) -> Option<Finding> {
    missing_in(machine, &std::env::split_paths(PATH).collect::<Vec<_>>())
}

fn missing_in(machine: &Machine, dirs: &[PathBuf]) -> Option<Finding> {
    let there = |program: &&str| dirs.iter().any(|dir| dir.join(program).is_file());
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|program| !there(program)).collect();
    let detail = || format!("{} not installed: keytabs are tried with them", missing.join(", "));
    (!missing.is_empty())
        .then(|| Finding::wrong("kerberos tools", detail()).mend(machine.install("krb5-user", "krb5-workstation")))
}

impl Tools {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { dir: tempfile::Builder::new().prefix("farm-doctor-").tempdir()? })
    }

    /// What is wrong with `krb5.conf` so that a name without a realm means nothing. Asks no KDC.
    pub(super) fn default_realm(&self) -> Result<(), String> {
        match self.run("kswitch", &self.cache("nothing"), ["-p", "anybody"]) {
            Err(said) if said.contains("default realm") || said.contains("onfiguration file") => Err(said),
            // There is no such ticket, of course.
            _ => Ok(()),
        }
    }

    /// The keys in a keytab, in the order of the file.
    pub(super) fn entries(&self, keytab: &Path) -> Result<Vec<Entry>, String> {
        let name = keytab_name(keytab);
        Ok(entries(&self.run("klist", &self.cache("nothing"), ["-k", &name])?))
    }

    /// Gets a ticket with a keytab. `name` is for its file.
    pub(super) fn log_in(&self, name: &str, keytab: &Path, principal: &str) -> Result<Ticket, String> {
        let cache = self.cache(name);
        let before = Timestamp::now();
        self.run("kinit", &cache, ["-k", "-t", &keytab_name(keytab), principal])?;
        let after = Timestamp::now();
        let listed = self.run("klist", &cache, [""; 0])?;
        let skew = start_of_ticket(&listed).map_or(0, |start| skew(start, before, after));
        Ok(Ticket { cache, skew })
    }

    /// Gets a ticket for a service on a host, as in `postgres` on `db.example.org`, looking for its name as the library does; and,
    /// given the keytab of that service, reads it with that.
    pub(super) fn call(&self, by: &Ticket, service: &str, host: &str, keytab: Option<&Path>) -> Result<String, String> {
        let mut args = Vec::new();
        if let Some(keytab) = keytab {
            args.extend(["-k".to_owned(), keytab_name(keytab)]);
        }
        args.extend(["-S".to_owned(), service.to_owned(), host.to_owned()]);
        self.run("kvno", &by.cache, args)
    }

    fn cache(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a program to its end. What it said: as an error with its last words alone.
    fn run(
        &self,
        program: &str,
        cache: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<String, String> {
        let output = Command::new(program)
            .args(args)
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("KRB5CCNAME", format!("FILE:{}", cache.display()))
            .env_remove("KRB5_KTNAME")
            .env_remove("KRB5_CLIENT_KTNAME")
            .env_remove("KRB5_TRACE")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot run {program}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        let words = complaint.lines().last().unwrap_or_default().trim();
        Err(words.strip_prefix(&format!("{program}: ")).unwrap_or(words).to_owned())
    }
}

fn keytab_name(keytab: &Path) -> String {
    format!("FILE:{}", keytab.display())
}

/// From what `klist -k` prints.
fn entries(listed: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (kvno, principal) = (words.next()?.parse().ok()?, words.next()?);
        principal.contains('@').then(|| Entry { kvno, principal: principal.to_owned() })
    };
    listed.lines().filter_map(entry).collect()
}

/// When the ticket for tickets begins, by the KDC's clock: from what `klist` prints in the language C and UTC.
fn start_of_ticket(listed: &str) -> Option<Timestamp> {
    let line = listed.lines().find(|line| line.contains("krbtgt/"))?;
    let mut words = line.split_whitespace();
    let text = format!("{} {}", words.next()?, words.next()?);
    let formats = ["%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S"];
    let time = formats.iter().find_map(|format| DateTime::strptime(format, &text).ok())?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The KDC gave the time between these two moments, in whole seconds.
fn skew(start: Timestamp, before: Timestamp, after: Timestamp) -> i64 {
    let (start, before, after) = (start.as_second(), before.as_second(), after.as_second());
    if start < before { start - before } else { (start - after).max(0) }
}

#[cfg(test)]
mod tests {
    use super::{super::super::machine::Family, *};

    #[test]
    fn tools_that_are_not_installed_come_with_the_command_that_installs_them() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("klist"), "").unwrap();
        let machine = Machine { family: Family::Debian, user: "root".to_owned(), uid: 0 };
        let finding = missing_in(&machine, &[dir.path().to_owned()]).unwrap();
        assert!(finding.detail.starts_with("kinit, kvno, kswitch not installed"), "{}", finding.detail);
        assert_eq!(finding.cure.as_deref(), Some("apt-get install krb5-user"));
    }

    #[test]
    fn keys_are_read_from_the_table_of_klist() {
        let listed = "Keytab name: FILE:web.kt\nKVNO Principal\n---- -----\n   2 web/localhost@EX.TEST\n  13 web/localhost@EX.TEST\n";
        let kvnos: Vec<_> = entries(listed).iter().map(|entry| entry.kvno).collect();
        assert_eq!(kvnos, [2, 13]);
        assert!(entries("Keytab name: FILE:x\nKVNO Principal\n---- ----\n").is_empty());
    }

    #[test]
    fn the_clock_of_the_kdc_is_read_from_its_ticket() {
        let listed = |date| {
            format!("Default principal: a@B\n\nValid starting     Expires\n{date}  11/26/26 22:47:14  krbtgt/B@B\n")
        };
        let expected: Timestamp = "2026-11-25T22:47:14Z".parse().unwrap();
        assert_eq!(start_of_ticket(&listed("11/25/26 22:47:14")), Some(expected));
        assert_eq!(start_of_ticket(&listed("11/25/2026 22:47:14")), Some(expected));
        assert_eq!(start_of_ticket(&listed("25.11.26 22:47:14")), None);
    }

    #[test]
    fn the_skew_is_what_lies_outside_of_the_call() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(skew(at(100), at(100), at(102)), 0);
        assert_eq!(skew(at(90), at(100), at(102)), -10);
        assert_eq!(skew(at(110), at(100), at(102)), 8);
    }
}
