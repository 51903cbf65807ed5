use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{find::Tables, *};

const LIMITS: GroupLimits = GroupLimits { memory_bytes: 64 << 20, processes: 30, cpu_weight: 50 };

/// A folder that stands for a group of which all files are there, as the kernel makes them.
fn folder_of(kind: Kind, below: &Path) -> Cgroups {
    let parents = [Controller::Memory, Controller::Pids, Controller::Cpu, Controller::Io]
        .map(|controller| (controller, below.to_owned()));
    Cgroups { kind, parents: parents.into() }
}

#[test]
fn limits_of_version_2_bound_memory_without_swap_and_end_all_at_once() {
    let below = tempfile::tempdir().unwrap();
    let group = folder_of(Kind::V2, below.path()).make("farm-1", &LIMITS).unwrap();
    let read = |name: &str| fs_err::read_to_string(below.path().join("farm-1").join(name)).unwrap();
    assert_eq!((read("memory.max").as_str(), read("memory.oom.group").as_str()), ("67108864", "1"));
    assert_eq!(read("pids.max"), "30");
    // Not there before, as on a kernel without swap: so it is not written.
    assert!(!below.path().join("farm-1/memory.swap.max").exists());
    for (name, text) in [
        ("memory.events", "low 0\nhigh 0\nmax 31\noom 2\noom_kill 7\noom_group_kill 1\n"),
        ("pids.events", "max 12\n"),
        ("memory.peak", "4096\n"),
        ("cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
        ("io.stat", "8:0 rbytes=1 wbytes=1000 rios=1\n9:0 rbytes=1 wbytes=24 rios=1\n"),
    ] {
        fs_err::write(below.path().join("farm-1").join(name), text).unwrap();
    }
    assert_eq!((group.memory_kills(), group.refused_processes()), (7, 12));
    assert_eq!((group.peak_memory_bytes(), group.cpu_milliseconds()), (Some(4096), Some(2500)));
    assert_eq!(group.written_bytes(), Some(1024));
}

#[test]
fn a_process_is_found_in_whatever_part_of_a_hierarchy_is_mounted() {
    let tables = |own: &str, mounts: &str| Tables { own: own.to_owned(), mounts: mounts.to_owned() };
    let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    let own = tables("0::/system.slice/farm-builder.service\n", unified).v2().unwrap();
    assert_eq!(own.group, Path::new("/sys/fs/cgroup/system.slice/farm-builder.service"));
    let container = "30 23 0:26 /docker/1f /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
    assert_eq!(tables("0::/docker/1f/a\n", container).v2().unwrap().group, Path::new("/sys/fs/cgroup/a"));
    assert!(tables("4:memory:/x\n", unified).v2().is_none());
    let why = tables("4:memory:/x\n0::/\n", unified).v1().unwrap_err();
    assert!(why.contains("memory"), "{why}");
}

#[test]
fn a_group_ends_what_is_in_it_and_is_gone() {
    let groups = match Cgroups::find() {
        Ok(groups) => groups,
        Err(why) => {
            // Root has some everywhere but in containers that hide them; whoever else has none is told why.
            assert!(why.contains("Delegate=yes") || why.contains("cannot make"), "{why}");
            eprintln!("no group was made: {why}");
            return;
        }
    };
    let group = groups.make(&format!("farm-unit-{}", std::process::id()), &LIMITS).unwrap();
    let folders = group.folders.clone();
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    group.add(child.id()).unwrap();
    group.remove().unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(folders.iter().all(|folder| !folder.exists()));
}

#[test]
fn what_is_gone_already_is_removed_without_complaint() {
    remove(&[PathBuf::from("/sys/fs/cgroup/no/such/group")]).unwrap();
}
