//! A test process that is killed leaves no servers and no files behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

/// A handle of a process that tells when it ends.
fn watch(pid: &str) -> OwnedFd {
    pidfd_open(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), PidfdFlags::empty()).unwrap()
}

/// A server, by the file with its number, and its parent.
fn server_and_keeper(pid_file: &Path) -> [OwnedFd; 2] {
    let pid = fs_err::read_to_string(pid_file).unwrap().lines().next().unwrap().to_owned();
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap();
    [watch(&pid), watch(status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap())]
}

fn wait_for_end(process: &OwnedFd) {
    let deadline = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&deadline)).unwrap(), 1, "it still runs");
}

#[test]
fn a_killed_test_process_leaves_no_server_and_no_files() {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/holder");
    assert!(program.exists(), "{} is missing: cargo build -p farm-testing --examples", program.display());
    let mut holder = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut dirs = BufReader::new(holder.stdout.take().unwrap()).lines().map(|line| PathBuf::from(line.unwrap()));
    let (database, realm) = (dirs.next().unwrap(), dirs.next().unwrap());
    let processes =
        [server_and_keeper(&database.join("data/postmaster.pid")), server_and_keeper(&realm.join("kdc.pid"))];

    holder.kill().unwrap();
    holder.wait().unwrap();
    processes.iter().flatten().for_each(wait_for_end);
    for dir in [database, realm] {
        assert!(!dir.exists(), "{} is still there", dir.display());
    }
}
