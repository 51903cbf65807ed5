//! Jobs and what belongs to them, with only what matters to be said.

use farm_api::{
    access::TokenInfo,
    hub::LogLine,
    people::{Artifact, Attempt, Job, Source, Task},
};
use farm_types::{
    ArtifactId, ArtifactKind, Cause, Class, Digest, JobId, Outcome, Progress, Scope, Stage, TaskId, TaskState,
    TokenKind,
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// The time at which everything begins.
pub const BEGIN: i64 = 1_750_000_000;

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + seconds).unwrap()
}

pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

pub fn job(id: i64, tasks: Vec<Task>) -> Job {
    let succeeded = tasks.iter().filter(|task| task.state == TaskState::Succeeded).count();
    Job {
        id: JobId(id),
        key: "nightly".parse().unwrap(),
        person: "alice".into(),
        title: "hello-2.12-1".into(),
        bucket: "scratch".parse().unwrap(),
        class: Class::Normal,
        targets: "f13,f14".into(),
        after: None,
        like: None,
        gone: None,
        options: Default::default(),
        progress: progress(&tasks),
        succeeded: succeeded as i64,
        total: tasks.len() as i64,
        reasons: Vec::new(),
        warnings: Vec::new(),
        submitted: at(0),
        finished: tasks.iter().all(|task| task.state.is_final()).then(|| at(100)).filter(|_| !tasks.is_empty()),
        sources: vec![source(1, "hello-2.12-1.src.rpm")],
        url: format!("/jobs/{id}"),
        tasks,
    }
}

pub fn source(position: i32, name: &str) -> Source {
    Source {
        position,
        file_name: name.into(),
        digest: digest_of(name.as_bytes()),
        size: 1_234_567,
        nevr: Some("hello-2.12-1".into()),
    }
}

fn progress(tasks: &[Task]) -> Progress {
    let any = |state| tasks.iter().any(|task| task.state == state);
    match () {
        () if tasks.is_empty() => Progress::Submitted,
        () if tasks.iter().all(|task| task.state == TaskState::Pending) => Progress::Queued,
        () if tasks.iter().any(|task| !task.state.is_final()) => Progress::Running,
        () if any(TaskState::Failed) => Progress::Failed,
        () if any(TaskState::Cancelled) => Progress::Cancelled,
        () => Progress::Succeeded,
    }
}

pub fn task(id: i64, platform: &str, state: TaskState) -> Task {
    Task {
        id: TaskId(id),
        job: JobId(1),
        platform: platform.parse().unwrap(),
        state,
        cause: None,
        stage: None,
        message: None,
        set_aside: None,
        expected: None,
        excerpt: Vec::new(),
        builder: None,
        created: at(1),
        started: None,
        finished: None,
        attempts: Vec::new(),
        artifacts: Vec::new(),
        url: format!("/tasks/{id}"),
        log_url: format!("/tasks/{id}/log"),
    }
}

pub fn running(id: i64, platform: &str, stage: Stage) -> Task {
    Task {
        stage: Some(stage),
        builder: Some("b1".parse().unwrap()),
        started: Some(at(2)),
        attempts: vec![attempt(1, None)],
        ..task(id, platform, TaskState::Leased)
    }
}

pub fn succeeded(id: i64, platform: &str, packages: &[&str]) -> Task {
    let artifacts = packages.iter().enumerate().map(|(n, name)| artifact(id * 100 + n as i64, name));
    Task {
        builder: Some("b1".parse().unwrap()),
        started: Some(at(2)),
        finished: Some(at(67)),
        attempts: vec![attempt(1, Some(Outcome::Succeeded))],
        artifacts: artifacts.collect(),
        ..task(id, platform, TaskState::Succeeded)
    }
}

pub fn failed(id: i64, platform: &str) -> Task {
    Task {
        cause: Some(Cause::Check),
        stage: Some(Stage::Check),
        message: Some("%check failed: exit status 1".into()),
        excerpt: vec![
            LogLine { number: 811, text: "FAIL: tests/greeting".into() },
            LogLine { number: 812, text: "\tred\u{1b}[31m 1 of 5 tests failed".into() },
        ],
        builder: Some("b2".parse().unwrap()),
        started: Some(at(2)),
        finished: Some(at(42)),
        attempts: vec![attempt(1, Some(Outcome::Failed))],
        ..task(id, platform, TaskState::Failed)
    }
}

pub fn attempt(number: i32, outcome: Option<Outcome>) -> Attempt {
    Attempt {
        number: number.into(),
        builder: "b1".parse().unwrap(),
        outcome,
        cause: None,
        stage: None,
        message: None,
        stages: Vec::new(),
        started: at(2),
        finished: outcome.map(|_| at(67)),
        marks: Vec::new(),
        usage: farm_api::record::Usage::default(),
        record_url: None,
        log_size: 0,
    }
}

/// An artifact whose bytes are [`content`] of its name.
pub fn artifact(id: i64, name: &str) -> Artifact {
    let bytes = content(name);
    Artifact {
        id: ArtifactId(id),
        kind: if name.ends_with(".src.rpm") { ArtifactKind::Srpm } else { ArtifactKind::Rpm },
        name: name.parse().unwrap(),
        digest: digest_of(&bytes),
        size: bytes.len() as i64,
        url: format!("/artifacts/{id}/{name}"),
    }
}

/// Some tens of kilobytes that depend on the name.
pub fn content(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(50_000 + name.len()).collect()
}

/// A file that begins as an RPM package does.
pub fn srpm(size: usize) -> Vec<u8> {
    let mut bytes = vec![0xed, 0xab, 0xee, 0xdb];
    bytes.extend((0..size).map(|n| (n % 251) as u8));
    bytes
}

/// A token of alice's; one without a name is the session of a browser.
pub fn token(id: i64, name: Option<&str>) -> TokenInfo {
    TokenInfo {
        id,
        person: "alice".into(),
        kind: if name.is_some() { TokenKind::Api } else { TokenKind::Session },
        name: name.map(str::to_owned),
        scopes: vec![Scope::Read, Scope::Submit],
        created: at(0),
        expires: at(90 * 86400),
        used: name.map(|_| at(3600)),
    }
}
