//! Room to work in, and the way there.

use std::path::{Path, PathBuf};

use farm_types::Size;
use nix::sys::statvfs::statvfs;

use super::{
    finding::{Finding, Verdict},
    machine::Machine,
};

const GIB: u64 = 1 << 30;

/// A base tree takes one, a build of size several more.
const DISK: Limits = Limits { wrong: 2 * GIB, warning: 10 * GIB };
/// A base tree has some 20,000 files.
const INODES: Limits = Limits { wrong: 20_000, warning: 200_000 };
/// PostgreSQL and the daemons take a quarter, dnf a half.
const MEMORY: Limits = Limits { wrong: GIB / 4, warning: GIB };

struct Limits {
    wrong: u64,
    warning: u64,
}

/// Disk, inodes and memory; and whether PostgreSQL's user gets to the data folder.
pub(crate) fn check(machine: &Machine, data: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let there = existing(data);
    match statvfs(&there) {
        Ok(disk) => {
            let free = disk.blocks_available() * disk.fragment_size();
            findings.push(disk_finding(data, free));
            // Some file systems have no fixed number of them.
            if disk.files() > 0 {
                findings.push(inode_finding(data, disk.files_available()));
            }
        }
        Err(error) => findings.push(Finding::wrong("disk", format!("cannot look at {}: {error}", there.display()))),
    }
    findings.push(memory(&fs_err::read_to_string("/proc/meminfo").unwrap_or_default()));
    findings.push(way(machine, data));
    findings
}

/// The folder, or the nearest one above it that is there.
pub(crate) fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// The first folder on the way that others may not pass.
pub(crate) fn closed_parent(path: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut parents: Vec<_> = path.ancestors().skip(1).collect();
    parents.reverse();
    let closed = |folder: &&Path| fs_err::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o001 == 0);
    parents.into_iter().find(closed).map(Path::to_owned)
}

fn disk_finding(data: &Path, free: u64) -> Finding {
    let detail = format!("{} free for {}", Size(free), data.display());
    let finding = DISK.judge("disk", free, detail);
    if finding.verdict == Verdict::Ok {
        finding
    } else {
        finding.mend("make room there, or choose another folder with --data DIR")
    }
}

fn inode_finding(data: &Path, free: u64) -> Finding {
    INODES.judge("inodes", free, format!("{free} files more can be made in {}", data.display()))
}

fn memory(meminfo: &str) -> Finding {
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next());
    match available.and_then(|kib| kib.parse::<u64>().ok()) {
        Some(kib) => MEMORY.judge("memory", kib * 1024, format!("{} available", Size(kib * 1024))),
        None => Finding::warning("memory", "/proc/meminfo does not say how much is available"),
    }
}

/// Who is root runs PostgreSQL as another user, who has to get there.
fn way(machine: &Machine, data: &Path) -> Finding {
    let name = "data folder";
    match closed_parent(data) {
        Some(closed) if machine.is_root() => Finding::wrong(
            name,
            format!("PostgreSQL's user cannot reach {}: {} is closed to others", data.display(), closed.display()),
        )
        .mend(format!("chmod o+x {}", closed.display())),
        _ => Finding::ok(name, data.display().to_string()),
    }
}

impl Limits {
    fn judge(&self, name: &str, value: u64, detail: String) -> Finding {
        if value < self.wrong {
            Finding::wrong(name, format!("{detail}: too little for any build"))
        } else if value < self.warning {
            Finding::warning(name, format!("{detail}: large packages will fail"))
        } else {
            Finding::ok(name, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::{super::machine::Family, *};

    #[test]
    fn a_disk_is_well_short_or_too_small() {
        let data = Path::new("/srv/farm");
        let verdict = |free| disk_finding(data, free).verdict;
        assert_eq!(verdict(11 * GIB), Verdict::Ok);
        assert_eq!(verdict(9 * GIB), Verdict::Warning);
        assert_eq!(verdict(GIB), Verdict::Wrong);
        assert!(disk_finding(data, GIB * 3 / 2).detail.starts_with("1.5 GiB free for /srv/farm"));
    }

    #[test]
    fn memory_is_what_is_available_and_not_what_is_free() {
        let finding = memory("MemTotal: 8000000 kB\nMemFree: 1000 kB\nMemAvailable:    4194304 kB\n");
        assert_eq!(finding, Finding::ok("memory", "4.0 GiB available"));
        assert_eq!(memory("").verdict, Verdict::Warning);
    }

    #[test]
    fn a_closed_folder_on_the_way_is_named_for_root_only() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("farm");
        let machine = |uid| Machine { family: Family::Debian, user: "x".to_owned(), uid };
        fs_err::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        let finding = way(&machine(0), &data);
        assert_eq!(finding.cure, Some(format!("chmod o+x {}", dir.path().display())));
        assert_eq!(way(&machine(1000), &data).verdict, Verdict::Ok);
        fs_err::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        assert_eq!(closed_parent(&data), None);
    }
}
