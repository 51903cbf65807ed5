//! `farm-submit a.src.rpm : b.src.rpm`.

use std::path::PathBuf;

use farm_types::{JobId, TaskState};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    program, run,
    server::{Farm, Server},
    things::{failed, job, srpm, succeeded, task},
};

fn packages(names: &[&str]) -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let paths = names.iter().enumerate().map(|(n, name)| {
        let path = folder.path().join(name);
        std::fs::write(&path, srpm(1000 + n)).unwrap();
        path
    });
    let paths = paths.collect();
    (folder, paths)
}

/// A farm in which the first job ends so, and the second as well.
fn ending(first: Vec<farm_api::people::Task>, second: Vec<farm_api::people::Task>) -> Server {
    let jobs = [(1, first), (2, second)].map(|(id, tasks)| {
        let mut job = job(id, tasks);
        job.id = JobId(id);
        (id, job)
    });
    Server::start(Farm { jobs: jobs.into(), ..Farm::default() })
}

#[test]
fn a_chain_is_one_request_of_a_job_for_each_group_and_all_of_them_are_followed() {
    let server = ending(vec![succeeded(1, "f13-x86_64", &["a.rpm"])], vec![succeeded(2, "f13-x86_64", &["b.rpm"])]);
    let (_folder, paths) = packages(&["a.src.rpm", "b.src.rpm", "c.src.rpm"]);
    let mut command = program("farm-submit", &server.url);
    command.arg(&paths[0]).arg(":").args(&paths[1..]).args(["-t", "f13", "--id", "nightly", "--after", "7"]);
    let ran = run(&mut command).ended(0);
    for line in ["Job 1: ", "Job 2: ", "Job 1, 1 of 2\n", "Job 1 succeeded: 1 of 1 built\n", "Job 2, 2 of 2\n"] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
    assert!(ran.stdout.ends_with("Job 2 succeeded: 1 of 1 built\n"), "{}", ran.stdout);
    assert_eq!((server.count("POST /api/v1/chains"), server.count("POST /api/v1/jobs")), (1, 0));
    let farm = server.farm();
    let shape: Vec<_> = farm.submitted.iter().map(|new| (new.key.as_str(), new.sources.len(), new.after)).collect();
    assert_eq!(shape, [("nightly", 1, Some(JobId(7))), ("nightly.2", 2, None)]);
    assert!(farm.submitted.iter().all(|new| new.targets == ["f13"]));
}

#[test]
fn where_one_fails_the_others_are_told_of_too_and_the_exit_code_says_so() {
    let mut given_up = task(2, "f13-x86_64", TaskState::Cancelled);
    given_up.message = Some("job 1, which this one comes after, failed on f13-x86_64".to_owned());
    let server = ending(vec![failed(1, "f13-x86_64")], vec![given_up]);
    let (_folder, paths) = packages(&["a.src.rpm", "b.src.rpm"]);
    let ran = run(program("farm-submit", &server.url).arg(&paths[0]).arg(":").arg(&paths[1])).ended(1);
    assert!(
        ran.stdout.contains("Job 1 failed") && ran.stdout.contains("job 1, which this one comes after"),
        "{}",
        ran.stdout
    );
    let ran = run(program("farm", &server.url).args(["--json", "watch", "1", "2"])).ended(1);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["jobs"].as_array().unwrap().len(), 2, "{document}");
}

#[test]
fn an_empty_group_and_everything_wrong_in_any_group_is_said_before_anything_is_sent() {
    let server = Server::start(Farm::default());
    let (folder, paths) = packages(&["a.src.rpm"]);
    let ran = run(program("farm-submit", &server.url).arg(&paths[0]).arg(":")).ended(2);
    assert!(ran.stderr.contains("job 2 of the chain has no source"), "{}", ran.stderr);
    let missing = ["x", "y"].map(|name| folder.path().join(name));
    let ran = run(program("farm-submit", &server.url).arg(&missing[0]).arg(":").arg(&missing[1])).ended(2);
    assert_eq!(ran.stderr.matches("there is no such file").count(), 2, "{}", ran.stderr);
    let long = "x".repeat(50);
    let mut command = program("farm-submit", &server.url);
    command.arg(&paths[0]).arg(":").arg(&paths[0]).args(["--id", &long]);
    let ran = run(&mut command).ended(2);
    assert!(ran.stderr.contains("the jobs of a chain have a number behind it"), "{}", ran.stderr);
    assert!(server.farm().submitted.is_empty());
}
