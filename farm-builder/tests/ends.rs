//! Builds that must be ended: everything they started is gone within a second.

mod common;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use common::{Build, Built, driver, groups_of, mounts_with, processes_with, script, shared_data};
use farm_builder::{BuildOutcome, NativeConfig, NativeDriver};
use farm_testing::{DEADLINE, eventually};
use farm_types::{Cause, Stage};

/// A build that does not want to end: it ignores what can be ignored and leaves a daemon that holds the log.
fn stubborn(mark: &str) -> String {
    script(&[(
        "BUILD",
        &format!(
            "trap '' TERM INT HUP QUIT
             setsid bash -c 'trap \"\" TERM HUP INT; export MARK={mark}; (while :; do sleep 1000; done) & (exec -a {mark} sleep 1000) &' &
             echo ready
             while :; do sleep 1000 || :; done"
        ),
    )])
}

/// A word that no other process on this host has.
fn mark() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    format!("mark-{}-{}-", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn nothing_is_left(id: &str, mark: &str) {
    assert_eq!(processes_with(mark), [""; 0]);
    assert_eq!(mounts_with(id), [""; 0]);
    assert!(!shared_data().join("work").join(id).exists());
}

#[tokio::test]
async fn a_build_that_takes_too_long_is_ended_with_all_it_started() {
    let driver = driver(shared_data()).await;
    let mark = mark();
    let build = Build::new("mini12", &[&stubborn(&mark)]).limits(|limits| limits.timeout = Duration::from_secs(4));
    let id = build.request.id.to_string();
    let built = build.run(&driver).await;
    let failure = built.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::Timeout, Stage::Build), "{failure:?}");
    assert_eq!(failure.message, "the build took longer than 4 seconds");
    assert!(built.log.contains("ready"), "{}", built.log);
    nothing_is_left(&id, &mark);
}

#[tokio::test]
async fn a_build_that_says_nothing_for_too_long_is_ended() {
    let driver = driver(shared_data()).await;
    let mark = mark();
    let build =
        Build::new("mini12", &[&stubborn(&mark)]).limits(|limits| limits.silence_timeout = Duration::from_secs(2));
    let id = build.request.id.to_string();
    let built = build.run(&driver).await;
    assert_eq!((built.failure().cause, built.failure().stage), (Cause::Silent, Stage::Build), "{:?}", built.failure());
    nothing_is_left(&id, &mark);
}

#[tokio::test]
async fn a_flood_of_log_is_cut_at_the_limit() {
    let driver = driver(shared_data()).await;
    let spec = script(&[("BUILD", "yes a line that comes again and again")]);
    let build = Build::new("mini12", &[&spec]).limits(|limits| limits.log_bytes = 3 << 20);
    let built = build.run(&driver).await;
    assert_eq!((built.failure().cause, built.failure().stage), (Cause::OutputTooLarge, Stage::Build));
    let flood: usize = built.log.lines().filter(|line| !line.starts_with("[farm]")).map(|line| line.len() + 1).sum();
    // The last line has no end.
    assert!((3 << 20) - 200 < flood && flood <= (3 << 20) + 1, "{flood}");
}

#[tokio::test]
async fn packages_larger_than_the_limit_are_refused() {
    let driver = driver(shared_data()).await;
    let spec = script(&[("INSTALL", "head -c 3000000 /dev/urandom > %{buildroot}/usr/share/script/large")]);
    let build = Build::new("mini12", &[&spec]).limits(|limits| limits.result_bytes = 1 << 20);
    let built = build.run(&driver).await;
    assert_eq!(
        (built.failure().cause, built.failure().stage),
        (Cause::OutputTooLarge, Stage::Collect),
        "{}",
        built.log
    );
}

#[tokio::test]
async fn a_build_is_cancelled_within_a_second_whatever_its_stage() {
    let data = tempfile::tempdir().unwrap();
    let driver = driver(data.path().to_owned()).await;
    let stages = [
        Stage::Chroot,
        Stage::Source,
        Stage::Dependencies,
        Stage::Prep,
        Stage::Build,
        Stage::Install,
        Stage::Check,
        Stage::Collect,
    ];
    for stage in stages {
        let mark = mark();
        let hang = format!("(exec -a {mark} sleep 1000)");
        let part = match stage {
            Stage::Prep => "PREP",
            Stage::Build => "BUILD",
            Stage::Install => "INSTALL",
            _ => "CHECK",
        };
        // At `collect` there is nothing to hang any more.
        let parts: &[_] = if stage == Stage::Collect { &[] } else { &[(part, hang.as_str())] };
        let mut build = Build::new("mini12", &[&script(&[&[("PREAMBLE", "BuildRequires: gcc")], parts].concat())]);
        build.cancel_at = Some(stage);
        let id = build.request.id.to_string();
        let built = build.run(&driver).await;
        let took = built.cancelled.unwrap().elapsed();
        assert_eq!(built.outcome(), &BuildOutcome::Cancelled, "{stage}");
        assert!(took < Duration::from_secs(1), "{stage}: {took:?}");
        assert_eq!(processes_with(&mark), [""; 0], "{stage}");
        assert_eq!(mounts_with(&id), [""; 0], "{stage}");
        assert_eq!(std::fs::read_dir(data.path().join("work")).unwrap().count(), 0, "{stage}");
    }
}

#[tokio::test]
async fn a_platform_that_cannot_be_made_is_the_farms_fault_and_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let driver = driver(data.path().to_owned()).await;
    let mut build = Build::new("mini12", &[common::SMALL]);
    build.request.platform.base = vec!["no-such-base".to_owned()];
    let Built { result, log, .. } = build.run(&driver).await;
    let error = result.unwrap_err();
    assert_eq!((error.cause, error.stage), (Cause::Chroot, Stage::Chroot), "{error}\n{log}");
    assert!(error.message.contains("no-such-base"), "{error}");
    assert_eq!(std::fs::read_dir(data.path().join("work")).unwrap().count(), 0);

    let mut build = Build::new("mini12", &[common::SMALL]);
    build.request.platform.repositories[0].baseurl = Some("file:///no/such/repository".to_owned());
    let error = build.run(&driver).await.result.unwrap_err();
    assert!(error.message.contains("/no/such/repository"), "{error}");
}

#[tokio::test]
async fn ten_builds_at_once_make_one_base_tree() {
    let data = tempfile::tempdir().unwrap();
    // Two drivers, as of two builders on one host.
    let (one, two) = (driver(data.path().to_owned()).await, driver(data.path().to_owned()).await);
    let builds: Vec<_> = (0..10)
        .map(|n| {
            let mut build = Build::new("mini12", &[&script(&[])]);
            build.cancel_at = Some(Stage::Source);
            build.run(if n % 2 == 0 { &one } else { &two })
        })
        .collect();
    let mut makers = 0;
    for built in futures::future::join_all(builds).await {
        assert_eq!(built.outcome(), &BuildOutcome::Cancelled, "{}", built.log);
        makers += built.log.matches("making the base tree").count();
    }
    assert_eq!(makers, 1);
    let trees = std::fs::read_dir(data.path().join("trees")).unwrap();
    assert_eq!(trees.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count(), 1);
}

#[tokio::test]
async fn what_a_killed_builder_leaves_ends_at_once_and_is_cleaned_at_the_next_start() {
    let data = tempfile::tempdir().unwrap();
    let mark = mark();
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "a_builder_to_be_killed"])
        .env("FARM_TEST_DATA", data.path())
        .env("FARM_TEST_MARK", &mark)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // The second process of that name is the one within the build.
    let is_building = || processes_with(&mark).iter().any(|process| process.contains("sleep"));
    eventually("the build to begin", DEADLINE, async || is_building().then_some(())).await;
    victim.kill().unwrap();
    victim.wait().unwrap();
    let is_gone = || processes_with(&mark).is_empty() && mounts_with("killed-1").is_empty();
    eventually("processes and mounts to be gone", Duration::from_secs(1), async || is_gone().then_some(())).await;
    assert!(data.path().join("work/killed-1").exists());
    assert_eq!(groups_of("killed-1").is_empty(), farm_builder::cgroup::Cgroups::find().is_err());
    NativeDriver::new(NativeConfig {
        data: data.path().to_owned(),
        helper: env!("CARGO_BIN_EXE_farm-builder").into(),
        cache_bytes: None,
        room: Default::default(),
    })
    .await
    .unwrap();
    assert_eq!(std::fs::read_dir(data.path().join("work")).unwrap().count(), 0);
    assert!(groups_of("killed-1").is_empty());
}

#[tokio::test]
#[ignore = "the victim of what_a_killed_builder_leaves_ends_at_once_and_is_cleaned_at_the_next_start"]
async fn a_builder_to_be_killed() {
    let mark = std::env::var("FARM_TEST_MARK").unwrap();
    let driver = driver(std::env::var_os("FARM_TEST_DATA").unwrap().into()).await;
    let mut build = Build::new("mini12", &[&stubborn(&mark)]);
    build.request.id = "killed-1".parse().unwrap();
    build.run(&driver).await;
}
