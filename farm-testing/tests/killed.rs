//! A test process that is killed leaves no server and no files behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader},
    os::fd::OwnedFd,
    path::Path,
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
    let mut dir = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut dir).unwrap();
    let dir = Path::new(dir.trim());

    let pid = fs_err::read_to_string(dir.join("data/postmaster.pid")).unwrap().lines().next().unwrap().to_owned();
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let server = watch(&pid);
    let keeper = watch(status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap());

    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_for_end(&server);
    wait_for_end(&keeper);
    assert!(!dir.exists(), "{} is still there", dir.display());
}
