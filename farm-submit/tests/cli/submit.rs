//! `farm-submit` when everything goes well, and when the farm says no.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf};

use farm_api::{error::ErrorCode, people::Job};
use farm_types::{Class, Progress, Stage, TaskState};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    program, run,
    server::{Farm, LIMIT, Mischief, Server, refusal},
    things::{digest_of, failed, job, running, srpm, succeeded, task},
};

/// A folder with a package in it.
pub fn package(name: &[u8], size: usize) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(name));
    std::fs::write(&path, srpm(size)).unwrap();
    (folder, path)
}

/// A farm that builds whatever is submitted.
pub fn building() -> Server {
    let done = || vec![succeeded(1, "f13-x86_64", &["hello-2.12-1.x86_64.rpm"])];
    let events = [
        job(1, vec![]),
        job(1, vec![task(1, "f13-x86_64", TaskState::Pending)]),
        job(1, vec![running(1, "f13-x86_64", Stage::Build)]),
        job(1, done()),
    ];
    Server::start(Farm { events: events.into(), ..Farm::default() })
}

#[test]
fn a_package_is_uploaded_submitted_and_waited_for() {
    let server = building();
    let (_folder, path) = package(b"hello-2.12-1.src.rpm", 2_000_000);
    let ran =
        run(program("farm-submit", &server.url).arg(&path).args(["-t", "f13,f14", "-t", "!f13-i686", "-c", "urgent"]));
    let ran = ran.ended(0);
    let expected = format!("Job 1: {}jobs/1\nJob 1 waits for a validator\n  f13-x86_64  pending\n", server.url);
    assert!(ran.stdout.starts_with(&expected), "{}", ran.stdout);
    assert!(ran.stdout.contains("  f13-x86_64  running    build  ") && ran.stdout.contains("on b1"), "{}", ran.stdout);
    assert!(ran.stdout.contains("hello-2.12-1.x86_64.rpm") && ran.stdout.ends_with("Job 1 succeeded: 1 of 1 built\n"));
    assert!(ran.stderr.starts_with("uploaded hello-2.12-1.src.rpm: 1.9 MiB in "), "{}", ran.stderr);
    let farm = server.farm();
    let [new] = &farm.submitted[..] else { panic!("{:?}", farm.submitted) };
    assert_eq!(new.targets, ["f13,f14", "!f13-i686"]);
    assert_eq!((new.class, new.sources[0].name.as_str()), (Some(Class::Urgent), "hello-2.12-1.src.rpm"));
    assert_eq!(farm.blobs[&digest_of(&srpm(2_000_000))].len(), 2_000_004);
}

#[test]
fn what_is_asked_of_the_builds_is_handed_in_with_the_job() {
    let server = building();
    let (_folder, path) = package(b"hello.src.rpm", 1000);
    let words = [
        "--nocheck",
        "--with",
        "spicy,docs",
        "--without",
        "tests",
        "--define",
        "dist .x",
        "--define",
        "vendor Us; and $(you)",
        "--repo",
        "extra",
        "--repo",
        "https://example.org/ priority=10",
        "--use-bucket",
        "stable",
        "--limit",
        "memory=4G",
        "--weight",
        "2",
    ];
    run(program("farm-submit", &server.url).arg(&path).args(words)).ended(0);
    let farm = server.farm();
    let expected = json!({
        "check": false, "with": ["spicy", "docs"], "without": ["tests"],
        "macros": { "dist": ".x", "vendor": "Us; and $(you)" },
        "repositories": [{ "name": "extra" }, { "baseurl": "https://example.org/", "priority": 10 }],
        "buckets": ["stable"], "limits": { "memory_bytes": 4u64 << 30 }, "weight": 2,
    });
    assert_eq!(serde_json::to_value(&farm.submitted[0].options).unwrap(), expected);
}

#[test]
fn what_cannot_be_asked_is_told_with_2_before_anything_is_sent() {
    let server = building();
    let (_folder, path) = package(b"hello.src.rpm", 1000);
    let words = ["--with", "a-b", "--define", "_topdir /", "--repo", "file:///etc", "--limit", "memory=much"];
    let ran = run(program("farm-submit", &server.url).arg(&path).args(words)).ended(2);
    for expected in ["“a-b” is no build condition", "“_topdir” is set by the farm", "file:///etc", "“much” is no size"]
    {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
    assert!(server.farm().requests.is_empty(), "{:?}", server.farm().requests);
}

#[test]
fn a_right_that_is_missing_is_told_with_5_and_named() {
    let server = building();
    let why = "alice may not ask that of builds: it takes the right “external”";
    let refused = farm_api::error::ErrorBody::new(ErrorCode::Forbidden, why);
    server.farm().mischief.push(("POST /api/v1/jobs", Mischief::Refuse(refused)));
    let (_folder, path) = package(b"hello.src.rpm", 1000);
    let ran = run(program("farm-submit", &server.url).arg(&path).args(["--repo", "https://example.org/"])).ended(5);
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
}

#[test]
fn what_the_farm_has_is_not_sent_again() {
    let server = building();
    let (_folder, path) = package(b"hello.src.rpm", 1000);
    server.farm().blobs.insert(digest_of(&srpm(1000)), srpm(1000));
    let ran = run(program("farm", &server.url).arg("submit").arg(&path)).ended(0);
    assert_eq!(ran.stderr, "hello.src.rpm: the farm has it already\n");
    assert_eq!(server.count("PATCH"), 0);
}

#[test]
fn files_that_are_too_large_are_refused_before_they_are_read() {
    let server = building();
    let (folder, small) = package(b"hello.src.rpm", 1000);
    let files = [("much.src.rpm", 5 << 40), ("more.src.rpm", LIMIT + 1), ("just.src.rpm", LIMIT)];
    let files = files.map(|(name, size)| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().set_len(size).unwrap();
        path
    });
    let ran = run(program("farm-submit", &server.url).arg(small).args(&files)).ended(3);
    for words in ["nothing was submitted", "much.src.rpm: has 5.0 TiB", "more.src.rpm: has", "takes 100.0 MiB at"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("just.src.rpm"), "{}", ran.stderr);
    assert_eq!(server.count("POST"), 0);
}

#[test]
fn without_waiting_only_the_job_is_told() {
    let server = building();
    let (_folder, path) = package(b"hello.src.rpm", 1000);
    let ran = run(program("farm-submit", &server.url).arg(&path).args(["--no-wait", "--quiet"])).ended(0);
    assert_eq!(ran.stdout, format!("Job 1: {}jobs/1\n", server.url));
    assert_eq!((ran.stderr.as_str(), server.count("GET")), ("", 0));
}

#[test]
fn json_is_one_document_that_is_the_job_of_the_api() {
    for (arguments, progress) in
        [(&["--json"][..], Progress::Succeeded), (&["--json", "--no-wait"], Progress::Submitted)]
    {
        let server = building();
        let (_folder, path) = package(b"hello.src.rpm", 1000);
        let ran = run(program("farm-submit", &server.url).arg(&path).args(arguments)).ended(0);
        let mut document: Value = serde_json::from_str(&ran.stdout).unwrap();
        let job: Job = serde_json::from_value(document["job"].take()).unwrap();
        assert_eq!((job.id.0, job.progress), (1, progress));
    }
}

#[test]
fn a_file_name_that_is_no_utf8_is_shown_and_sent_escaped() {
    let server = building();
    let (_folder, path) = package(b"caf\xe9 %{x}-1.src.rpm", 10);
    let ran = run(program("farm-submit", &server.url).arg(&path)).ended(0);
    assert!(ran.stderr.contains("caf\\xE9 %{x}-1.src.rpm"), "{}", ran.stderr);
    assert_eq!(server.farm().submitted[0].sources[0].name, "caf\\xE9 %{x}-1.src.rpm");
}

#[test]
fn every_problem_of_all_files_is_told_before_a_byte_is_sent() {
    let server = building();
    let (folder, path) = package(b"a.src.rpm", 10);
    let copy = folder.path().join("b.src.rpm");
    std::fs::copy(&path, &copy).unwrap();
    let missing = folder.path().join("missing\x1b[31m.src.rpm");
    let ran = run(program("farm-submit", &server.url).arg(&missing).arg(folder.path()).args([&path, &path])).ended(2);
    for words in ["missing\\u{1b}[31m.src.rpm: there is no such file", "is a folder", "a.src.rpm: given twice"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    let ran = run(program("farm-submit", &server.url).args([&path, &copy])).ended(2);
    assert!(ran.stderr.contains("b.src.rpm: has the same content as "), "{}", ran.stderr);
    assert_eq!(server.count(""), 0);
}

#[test]
fn what_does_not_look_like_a_package_is_warned_about_and_left_to_the_farm() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    std::fs::write(&path, "some text").unwrap();
    let ran = run(program("farm-submit", &server.url).arg(&path)).ended(0);
    assert!(ran.stderr.starts_with("warning: ") && ran.stderr.contains("does not begin as an RPM package does"));
}

#[test]
fn a_refused_request_ends_with_3_and_every_reason() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    let reasons = json!([
        { "code": "unknown_target", "message": "unknown target “f99”; known are: f13-x86_64" },
        { "code": "no_spec", "source": 1, "message": "it has no spec file" },
    ]);
    let body = refusal(ErrorCode::Refused, "the job cannot be taken", reasons);
    server.farm().mischief.push(("POST /api/v1/jobs", Mischief::Refuse(body)));
    let ran = run(program("farm-submit", &server.url).arg(&path).arg("-q")).ended(3);
    insta::assert_snapshot!(ran.stderr, @r"
    farm-submit: the job cannot be taken
      - unknown target “f99”; known are: f13-x86_64
      - x.src.rpm: it has no spec file
    ");
}

#[test]
fn a_rejected_job_ends_with_3_and_every_reason() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    let mut rejected = job(1, vec![]);
    rejected.progress = Progress::Rejected;
    rejected.reasons = serde_json::from_value(json!([
        { "code": "payload_digest", "source": 1, "message": "its payload is damaged" },
        { "code": "unknown_target", "message": "unknown target “f99”" },
    ]))
    .unwrap();
    server.farm().events = [job(1, vec![]), rejected].into();
    let ran = run(program("farm-submit", &server.url).arg(&path).arg("-q")).ended(3);
    insta::assert_snapshot!(ran.stderr, @r"
    farm-submit: job 1 was rejected
      - hello-2.12-1.src.rpm: its payload is damaged
      - unknown target “f99”
    ");
}

#[test]
fn a_failed_task_ends_with_1_and_the_lines_that_say_why() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    let tasks = vec![succeeded(1, "f13-x86_64", &["hello-2.12-1.x86_64.rpm"]), failed(2, "f14-x86_64")];
    server.farm().events = [job(1, vec![]), job(1, tasks)].into();
    let ran = run(program("farm-submit", &server.url).arg(&path)).ended(1);
    assert!(
        ran.stdout.contains("%check failed: exit status 1\n        811 | FAIL: tests/greeting\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("    red\\u{1b}[31m 1 of 5 tests failed\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("Job 1 failed: 1 of 2 built\n"), "{}", ran.stdout);
}

#[test]
fn who_may_not_is_told_so_with_5() {
    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    let body = refusal(ErrorCode::Forbidden, "you may not use class urgent", json!([]));
    server.farm().mischief.push(("POST /api/v1/jobs", Mischief::Refuse(body)));
    let ran = run(program("farm-submit", &server.url).arg(&path).arg("-q")).ended(5);
    assert_eq!(ran.stderr, "farm-submit: you may not use class urgent\n");
}
