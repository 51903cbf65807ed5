//! `farm watch`: a job over any number of connections, and Ctrl-C.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use farm_api::error::Reason;
use farm_types::{Stage, TaskState};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    binary, program, run,
    server::{Farm, Mischief, Server},
    submit::package,
    things::{failed, job, running, succeeded, task},
};

#[test]
fn a_job_that_has_ended_is_told_at_once() {
    let server = Server::with_job(job(42, vec![failed(1, "f13-x86_64"), succeeded(2, "f14-x86_64", &["a.rpm"])]));
    let ran = run(program("farm", &server.url).args(["watch", "42"])).ended(1);
    insta::with_settings!({ filters => [(r"http://127.0.0.1:\d+", "http://farm")] }, {
        insta::assert_snapshot!(ran.stdout);
    });
}

#[test]
fn a_connection_that_ends_early_is_made_anew() {
    let stages = [Stage::Prep, Stage::Build, Stage::Check].map(|stage| job(7, vec![running(1, "f13-x86_64", stage)]));
    let end = job(7, vec![succeeded(1, "f13-x86_64", &[])]);
    let server = Server::start(Farm {
        events: stages.into_iter().chain([end.clone()]).collect(),
        events_per_connection: Some(1),
        jobs: [(7, end)].into(),
        mischief: vec![("GET /api/v1/jobs/7/events", Mischief::Unavailable)],
        ..Farm::default()
    });
    let ran = run(program("farm", &server.url).args(["watch", "7"])).ended(0);
    let told: Vec<_> = ran.stdout.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(told, ["prep", "build", "check", "1m", "succeeded:"]);
    assert_eq!(server.count("GET /api/v1/jobs/7/events"), 5);
    assert!(ran.stderr.contains("the database restarts; trying again\nthe farm answers again"), "{}", ran.stderr);
}

#[test]
fn a_cancelled_task_ends_with_1() {
    let server = Server::with_job(job(3, vec![task(1, "f13-x86_64", TaskState::Cancelled)]));
    let ran = run(program("farm", &server.url).args(["watch", "3", "--quiet"])).ended(1);
    assert!(ran.stdout.ends_with("Job 3 cancelled: 0 of 1 built\n"), "{}", ran.stdout);
}

#[test]
fn ctrl_c_leaves_the_job_running_and_says_how_to_come_back() {
    let server = Server::start(Farm {
        events: [job(1, vec![running(1, "f13-x86_64", Stage::Build)])].into(),
        ..Farm::default()
    });
    let (_folder, path) = package(b"x.src.rpm", 10);
    let mut child = Command::new(binary("farm-submit"))
        .arg(&path)
        .args(["--server", &server.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let running = lines.find(|line| line.as_ref().unwrap().contains("running"));
    assert!(running.is_some());
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.ends_with("farm-submit: Job 1 goes on; come back with: farm watch 1\n"), "{stderr}");
    assert_eq!(server.count("POST /api/v1/jobs/1/cancel"), 0);
}

#[test]
fn a_warning_is_told_once_when_it_comes() {
    let mut warned = job(1, vec![running(1, "f13-x86_64", Stage::Build)]);
    let message = "no builder for f13-x86_64 at the moment".to_owned();
    warned.warnings = vec![Reason { code: "no_builder".into(), source: None, message }];
    let mut end = job(1, vec![succeeded(1, "f13-x86_64", &[])]);
    end.warnings = warned.warnings.clone();
    let server = Server::start(Farm { events: [job(1, vec![]), warned, end].into(), ..Farm::default() });
    let ran = run(program("farm", &server.url).args(["watch", "1", "--json"])).ended(0);
    assert_eq!(ran.stderr.matches("warning: no builder for f13-x86_64").count(), 1, "{}", ran.stderr);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["job"]["progress"], "succeeded");
}
