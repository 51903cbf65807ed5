//! Which control groups this process may make.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access, geteuid};

use super::{Cgroups, Controller, Kind};

/// The leaf that the builder itself goes into, in its part of a version 2 tree.
const SUPERVISOR: &str = "supervisor";

const NO_V2: &str = "there is none of version 2";

/// The mark that systemd puts on the groups that it gives away.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// Controllers by the names that version 2 has for them, and whether builds can do without.
const V2: [(Controller, &str, bool); 4] = [
    (Controller::Memory, "memory", true),
    (Controller::Pids, "pids", true),
    (Controller::Cpu, "cpu", false),
    (Controller::Io, "io", false),
];

/// The same for version 1.
const V1: [(Controller, &str, bool); 4] = [
    (Controller::Memory, "memory", true),
    (Controller::Pids, "pids", true),
    (Controller::Cpu, "cpu", false),
    (Controller::CpuAccounting, "cpuacct", false),
];

/// See [`Cgroups::find`].
pub fn find() -> Result<Cgroups, String> {
    let tables = Tables::of_this_process()?;
    let v2 = match tables.v2() {
        Some(own) => match take(&own, &tables) {
            Ok(found) => return Ok(found),
            Err(why) => why,
        },
        None => NO_V2.to_owned(),
    };
    tables.v1().map_err(|v1| format!("no control group can be had: {v2}; {v1}"))
}

/// See [`Cgroups::look`].
pub fn look() -> Result<Kind, String> {
    let tables = Tables::of_this_process()?;
    let v2 = match tables.v2() {
        Some(own) if is_given(own.base()) => return Ok(Kind::V2),
        Some(own) if geteuid().is_root() && tables.v1().is_err() => {
            let there = fs_err::read_to_string(own.mount.join("cgroup.controllers")).unwrap_or_default();
            if ["memory", "pids"].iter().all(|name| there.split_whitespace().any(|known| known == *name)) {
                return Ok(Kind::V2);
            }
            "version 2 has no controllers".to_owned()
        }
        Some(own) => own.not_given(),
        None => NO_V2.to_owned(),
    };
    tables.v1().map(|found| found.kind).map_err(|v1| format!("{v2}; {v1}"))
}

/// What the kernel says about this process.
pub struct Tables {
    /// `/proc/self/mountinfo`.
    pub mounts: String,
    /// `/proc/self/cgroup`.
    pub own: String,
}

/// A folder of control groups.
pub struct Own {
    /// Where its file system is mounted.
    pub mount: PathBuf,
    /// The group that this process is in.
    pub group: PathBuf,
}

impl Own {
    /// The group that we may divide, if it is ours: the builder itself goes into a leaf of it.
    fn base(&self) -> &Path {
        if self.is_supervised() { self.group.parent().unwrap_or(&self.group) } else { &self.group }
    }

    fn is_supervised(&self) -> bool {
        self.group.file_name().is_some_and(|name| name == SUPERVISOR)
    }

    fn not_given(&self) -> String {
        format!("of version 2, the group {} was not given to it (Delegate=yes)", self.base().display())
    }
}

impl Tables {
    fn of_this_process() -> Result<Self, String> {
        let read = |file| fs_err::read_to_string(file).map_err(|error| error.to_string());
        Ok(Self { mounts: read("/proc/self/mountinfo")?, own: read("/proc/self/cgroup")? })
    }

    /// This process's group in version 2.
    pub fn v2(&self) -> Option<Own> {
        let path = self.own.lines().find_map(|line| line.strip_prefix("0::"))?;
        self.mounted("cgroup2", None, path)
    }

    /// The groups of version 1, if they are enough and we may make some.
    pub fn v1(&self) -> Result<Cgroups, String> {
        let mut parents = Vec::new();
        for (controller, name, needed) in V1 {
            match self.v1_of(name).filter(|own| may_write(&own.group)) {
                Some(own) => parents.push((controller, own.group)),
                None if needed => return Err(format!("of version 1 there is no {name} that this user may write to")),
                None => {}
            }
        }
        Ok(Cgroups { kind: Kind::V1, parents })
    }

    fn v1_of(&self, controller: &str) -> Option<Own> {
        let path = self.own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers.split(',').any(|name| name == controller).then_some(path)
        })?;
        self.mounted("cgroup", Some(controller), path)
    }

    /// Where a path of a hierarchy can be seen.
    fn mounted(&self, kind: &str, controller: Option<&str>, path: &str) -> Option<Own> {
        self.mounts.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut after = after.split(' ');
            let (file_system, options) = (after.next()?, after.nth(1)?);
            let mut fields = before.split(' ').skip(3);
            let (root, mount) = (fields.next()?, PathBuf::from(fields.next()?));
            let has = controller.is_none_or(|name| options.split(',').any(|option| option == name));
            if file_system != kind || !has {
                return None;
            }
            // In a container only a part of the hierarchy is mounted.
            let below = Path::new(path).strip_prefix(root).ok()?;
            Some(Own { group: mount.join(below), mount })
        })
    }
}

/// Takes a part of a version 2 tree: the one that was given to us, or, for root where nothing else rules, one at the top.
fn take(own: &Own, tables: &Tables) -> Result<Cgroups, String> {
    let base = own.base();
    if is_given(base) {
        return split(base, own.is_supervised())
            .map_err(|error| format!("its group {} is of no use: {error}", base.display()));
    }
    // Where version 1 has the controllers, the top of version 2 has none.
    if geteuid().is_root() && tables.v1().is_err() {
        return at_the_top(&own.mount);
    }
    Err(own.not_given())
}

/// Whether this group is ours to divide.
fn is_given(group: &Path) -> bool {
    let is_marked = || {
        let mut value = [0; 8];
        MARKS.iter().any(|mark| rustix::fs::getxattr(group, *mark, &mut value).is_ok_and(|n| value[..n] == *b"1"))
    };
    let is_owned = || fs_err::metadata(group).is_ok_and(|meta| meta.uid() == geteuid().as_raw());
    may_write(&group.join("cgroup.procs")) && (is_marked() || !geteuid().is_root() && is_owned())
}

fn split(base: &Path, supervised: bool) -> io::Result<Cgroups> {
    if !supervised {
        let leaf = base.join(SUPERVISOR);
        if !leaf.is_dir() {
            fs_err::create_dir(&leaf)?;
        }
        // Also what was started before us, or beside us, in the same service.
        for process in fs_err::read_to_string(base.join("cgroup.procs"))?.lines() {
            if let Err(error) = fs_err::write(leaf.join("cgroup.procs"), process)
                && error.raw_os_error() != Some(nix::libc::ESRCH)
            {
                return Err(error);
            }
        }
    }
    enable(base)
}

/// Root of a host without systemd, or a builder that root has started by hand.
fn at_the_top(mount: &Path) -> Result<Cgroups, String> {
    let base = mount.join("farm-builder");
    let made = || {
        enable(mount)?;
        if !base.is_dir() {
            fs_err::create_dir(&base)?;
        }
        enable(&base)
    };
    made().map_err(|error| format!("root cannot make {}: {error}", base.display()))
}

/// Lets the groups below one bound what they can.
fn enable(base: &Path) -> io::Result<Cgroups> {
    let there = fs_err::read_to_string(base.join("cgroup.controllers"))?;
    let mut parents = Vec::new();
    for (controller, name, needed) in V2 {
        let is_there = there.split_whitespace().any(|known| known == name);
        if needed && !is_there {
            return Err(io::Error::other(format!("it has no controller {name}")));
        }
        if is_there {
            match fs_err::write(base.join("cgroup.subtree_control"), format!("+{name}")) {
                Ok(()) => parents.push((controller, base.to_owned())),
                Err(error) if needed => return Err(error),
                Err(_) => {}
            }
        }
    }
    Ok(Cgroups { kind: Kind::V2, parents })
}

fn may_write(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}
