//! Real processes in tests.

use std::process::Command;

use farm_testing::{DEADLINE, Process, Signal, TestDb};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

fn shell(script: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Process::start("sh", command)
}

#[test]
fn a_process_says_where_it_listens_when_it_is_ready() {
    let mut process = shell(r#"echo starting >&2; echo '{"ready":true,"listen":"127.0.0.1:1"}'; read -r _"#);
    process.wait_until_ready();
    assert_eq!(process.url("/healthz"), "http://127.0.0.1:1/healthz");
    process.wait_for_log("starting");
}

#[test]
#[should_panic(expected = "sh did not become ready")]
fn a_process_that_ends_before_it_is_ready_fails_the_test_at_once() {
    shell("echo no such table >&2; exit 1").wait_until_ready();
}

#[test]
fn signals_reach_a_process_and_its_exit_is_seen() {
    let mut process = shell("trap 'exit 7' TERM; echo ready; while :; do read -r _; done");
    process.wait_for_log("ready");
    process.pause();
    process.signal(Signal::TERM);
    process.resume();
    assert_eq!(process.wait(DEADLINE).code(), Some(7));
}

#[test]
fn all_that_a_process_started_dies_with_it() {
    let process = shell("sleep 1000 & echo $!; wait");
    let child = Pid::from_raw(process.wait_for_log("").parse().unwrap()).unwrap();
    let child = pidfd_open(child, PidfdFlags::empty()).unwrap();
    drop(process);
    let deadline = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&child, PollFlags::IN)], Some(&deadline)).unwrap(), 1, "the child is alive");
}

#[test]
fn a_process_can_use_the_database_of_the_test() {
    let db = TestDb::new();
    let mut command = Command::new("psql");
    command.args(["-XAtc", "SELECT current_user", &db.url_as("farm_hub")]);
    let mut process = Process::start("psql", command);
    process.wait_for_log("farm_hub");
    assert!(process.wait(DEADLINE).success());
}
