//! The programs that the farm drives.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use farm_postgres::Programs;

use super::{finding::Finding, machine::Machine};

/// Where the builder looks for programs.
pub(crate) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// `--disable-userns` came with this version.
const OLDEST_BUBBLEWRAP: (u32, u32) = (0, 8);

/// A program that has to be there.
struct Needed {
    name: &'static str,
    why: &'static str,
    debian: &'static str,
    fedora: &'static str,
}

const NEEDED: [Needed; 7] = [
    Needed { name: "unshare", why: "the builder makes namespaces with it", debian: "util-linux", fedora: "util-linux" },
    Needed { name: "nsenter", why: "the builder enters them with it", debian: "util-linux", fedora: "util-linux" },
    Needed { name: "newuidmap", why: "unshare maps ids with it", debian: "uidmap", fedora: "shadow-utils" },
    Needed { name: "newgidmap", why: "unshare maps ids with it", debian: "uidmap", fedora: "shadow-utils" },
    Needed { name: "bwrap", why: "builds run under it", debian: "bubblewrap", fedora: "bubblewrap" },
    Needed { name: "dnf", why: "it fills the chroots", debian: "dnf", fedora: "dnf" },
    Needed {
        name: "createrepo_c",
        why: "jobs of several sources need it",
        debian: "createrepo-c",
        fedora: "createrepo_c",
    },
];

/// Only the self test calls it: builds use the platform's own.
const RPMBUILD: Needed = Needed {
    name: "rpmbuild",
    why: "`farm-admin selftest` packs its package with it",
    debian: "rpm",
    fedora: "rpm-build",
};

/// Whether each program is there and new enough.
pub(crate) fn check(machine: &Machine) -> Vec<Finding> {
    check_in(machine, &std::env::split_paths(PATH).collect::<Vec<_>>())
}

/// The server programs of PostgreSQL.
pub(crate) fn postgres(machine: &Machine) -> Finding {
    match Programs::find(None) {
        Ok(programs) => {
            Finding::ok("postgresql", format!("{}, in {}", programs.version(), programs.path("").display()))
        }
        Err(error) => {
            Finding::wrong("postgresql", error.to_string()).mend(machine.install("postgresql", "postgresql-server"))
        }
    }
}

fn check_in(machine: &Machine, dirs: &[PathBuf]) -> Vec<Finding> {
    let mut findings: Vec<_> = NEEDED.iter().map(|needed| one(machine, dirs, needed)).collect();
    if let Missing(detail) = find(dirs, &RPMBUILD) {
        let cure = machine.install(RPMBUILD.debian, RPMBUILD.fedora);
        findings.push(Finding::warning(RPMBUILD.name, detail).mend(cure));
    }
    findings
}

fn one(machine: &Machine, dirs: &[PathBuf], needed: &Needed) -> Finding {
    let cure = machine.install(needed.debian, needed.fedora);
    let path = match find(dirs, needed) {
        Found(path) => path,
        Missing(detail) => return Finding::wrong(needed.name, detail).mend(cure),
    };
    let age = match needed.name {
        "unshare" => unshare_is_too_old(&said(&path, "--help")),
        "bwrap" => bubblewrap_is_too_old(&said(&path, "--version")),
        _ => None,
    };
    match age {
        Some(detail) => Finding::wrong(needed.name, detail).mend(cure),
        None => Finding::ok(needed.name, path.display().to_string()),
    }
}

enum Search {
    Found(PathBuf),
    Missing(String),
}
use Search::{Found, Missing};

fn find(dirs: &[PathBuf], needed: &Needed) -> Search {
    match dirs.iter().map(|dir| dir.join(needed.name)).find(|path| is_program(path)) {
        Some(path) => Found(path),
        None => Missing(format!("not installed; {}", needed.why)),
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn said(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn unshare_is_too_old(help: &str) -> Option<String> {
    (!help.contains("--map-users"))
        .then(|| "too old: it has no --map-users; util-linux 2.38 or newer is needed".to_owned())
}

fn bubblewrap_is_too_old(version: &str) -> Option<String> {
    let mut numbers = version.split_whitespace().last().unwrap_or_default().split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST_BUBBLEWRAP => {
            let (wanted_major, wanted_minor) = OLDEST_BUBBLEWRAP;
            Some(format!("{major}.{minor} is too old: {wanted_major}.{wanted_minor} or newer is needed"))
        }
        (Some(Ok(_)), Some(Ok(_))) => None,
        _ => Some("does not say its version; it is broken".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::{
        super::{finding::Verdict, machine::Family},
        *,
    };

    /// A machine on which exactly these programs are installed, each saying something.
    fn verdicts(programs: &[(&str, &str)]) -> Vec<Finding> {
        let dir = tempfile::tempdir().unwrap();
        for (name, says) in programs {
            let path = dir.path().join(name);
            fs_err::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
            fs_err::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        let machine = Machine { family: Family::Debian, user: "root".to_owned(), uid: 0 };
        check_in(&machine, &[dir.path().to_owned()])
    }

    #[test]
    fn what_is_not_installed_is_named_with_the_command_that_installs_it() {
        let findings = verdicts(&[]);
        assert_eq!(findings.len(), 8);
        let of = |name| findings.iter().find(|finding| finding.name == name).unwrap();
        assert_eq!(of("newuidmap").cure.as_deref(), Some("apt-get install uidmap"));
        assert_eq!(of("createrepo_c").verdict, Verdict::Wrong);
        assert_eq!(of("rpmbuild").verdict, Verdict::Warning);
    }

    #[test]
    fn what_is_installed_is_well_unless_it_is_too_old() {
        let others = ["nsenter", "newuidmap", "newgidmap", "dnf", "createrepo_c", "rpmbuild"].map(|name| (name, ""));
        let with = |unshare, bwrap| {
            let findings = verdicts(&[&others[..], &[("unshare", unshare), ("bwrap", bwrap)]].concat());
            findings.into_iter().filter(|f| f.verdict == Verdict::Wrong).map(|f| f.name).collect::<Vec<_>>()
        };
        assert!(with("--map-users=...", "bubblewrap 0.8.0").is_empty());
        assert_eq!(with("--map-root-user", "bubblewrap 0.11.0"), ["unshare"]);
        assert_eq!(with("--map-users=...", "bubblewrap 0.4.1"), ["bwrap"]);
        assert_eq!(with("--map-users=...", "segmentation fault"), ["bwrap"]);
    }
}
