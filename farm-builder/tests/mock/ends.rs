//! Builds under mock that must be ended: everything they started is gone.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use farm_builder::{BuildOutcome, MockDriver};
use farm_testing::{DEADLINE, eventually};
use farm_types::{Cause, Stage};

use crate::{
    common::{Build, mounts_with, processes_with, script},
    sites::Site,
};

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
    format!("mock-mark-{}-{}-", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn nothing_is_left(site: &Site, mark: &str) {
    assert_eq!(processes_with(mark), [""; 0]);
    let folder = site.folder.path().to_str().unwrap();
    assert_eq!(processes_with(folder), [""; 0]);
    assert_eq!(mounts_with(folder), [""; 0]);
    assert_eq!(site.leftovers().len(), 0, "{:?}", site.leftovers());
}

#[tokio::test]
async fn a_build_that_takes_too_long_is_ended_with_all_it_started() {
    let (site, mark) = (Site::stand_in(""), mark());
    let build = Build::new("mini12", &[&stubborn(&mark)]).limits(|limits| limits.timeout = Duration::from_secs(4));
    let built = build.run(&site.driver().await).await;
    let failure = built.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::Timeout, Stage::Build), "{failure:?}\n{}", built.log);
    assert_eq!(failure.message, "the build took longer than 4 seconds");
    assert!(built.log.contains("ready"), "{}", built.log);
    nothing_is_left(&site, &mark);
}

#[tokio::test]
async fn a_build_that_says_nothing_for_too_long_is_ended() {
    let (site, mark) = (Site::stand_in(""), mark());
    let build =
        Build::new("mini12", &[&stubborn(&mark)]).limits(|limits| limits.silence_timeout = Duration::from_secs(2));
    let built = build.run(&site.driver().await).await;
    assert_eq!((built.failure().cause, built.failure().stage), (Cause::Silent, Stage::Build), "{:?}", built.failure());
    nothing_is_left(&site, &mark);
}

#[tokio::test]
async fn a_spec_that_cannot_be_read_to_its_end_is_ended_too() {
    let (site, mark) = (Site::stand_in(""), mark());
    // Not where the test packs it.
    let spec = script(&[("PREAMBLE", &format!("%{{?dist:%(MARK={mark} sleep 1000)}}"))]);
    let build = Build::new("mini12", &[&spec]).limits(|limits| limits.timeout = Duration::from_secs(3));
    let built = build.run(&site.driver().await).await;
    assert_eq!((built.failure().cause, built.failure().stage), (Cause::Timeout, Stage::Source), "{}", built.log);
    nothing_is_left(&site, &mark);
}

#[tokio::test]
async fn a_flood_of_log_is_cut_at_the_limit() {
    let site = Site::stand_in("");
    let spec = script(&[("BUILD", "yes a line that comes again and again")]);
    let build = Build::new("mini12", &[&spec]).limits(|limits| limits.log_bytes = 3 << 20);
    let built = build.run(&site.driver().await).await;
    assert_eq!((built.failure().cause, built.failure().stage), (Cause::OutputTooLarge, Stage::Build));
    let flood: usize = built.log.lines().filter(|line| !line.starts_with("[farm]")).map(|line| line.len() + 1).sum();
    // The last line has no end.
    assert!((3 << 20) - 200 < flood && flood <= (3 << 20) + 1, "{flood}");
    nothing_is_left(&site, "yes a line that comes again and again");
}

#[tokio::test]
async fn a_build_is_cancelled_at_once_whatever_its_stage() {
    let stages =
        [Stage::Chroot, Stage::Source, Stage::Dependencies, Stage::Prep, Stage::Build, Stage::Install, Stage::Check];
    for stage in stages {
        let (site, mark) = (Site::stand_in(if stage == Stage::Chroot { "hang-in-chroot" } else { "" }), mark());
        let hang = format!("MARK={mark} sleep 1000");
        let part = match stage {
            Stage::Prep => "PREP",
            Stage::Build => "BUILD",
            Stage::Install => "INSTALL",
            _ => "CHECK",
        };
        let mut build = Build::new("mini12", &[&script(&[(part, &hang)])]);
        build.cancel_at = Some(stage);
        let built = build.run(&site.driver().await).await;
        assert_eq!(built.outcome(), &BuildOutcome::Cancelled, "{stage}");
        // mock is started once more to clean up.
        let took = built.cancelled.unwrap().elapsed();
        assert!(took < Duration::from_secs(3), "{stage}: {took:?}");
        nothing_is_left(&site, &mark);
    }
}

#[tokio::test]
async fn what_a_cancelled_build_started_is_gone_within_a_second_also_if_it_is_stubborn() {
    let (site, mark) = (Site::stand_in(""), mark());
    let build = Build::new("mini12", &[&stubborn(&mark)]);
    let cancel = build.cancel.clone();
    let driver = site.driver().await;
    let is_building = || processes_with(&mark).iter().any(|process| process.contains("sleep"));
    let ending = async {
        eventually("the build to begin", DEADLINE, async || is_building().then_some(())).await;
        cancel.cancel();
        let began = Instant::now();
        eventually("its processes to be gone", DEADLINE, async || processes_with(&mark).is_empty().then_some(())).await;
        began.elapsed()
    };
    let (built, took) = tokio::join!(build.run(&driver), ending);
    assert_eq!(built.outcome(), &BuildOutcome::Cancelled);
    assert!(took < Duration::from_secs(1), "{took:?}");
    nothing_is_left(&site, &mark);
}

#[tokio::test]
async fn a_mock_that_is_killed_by_others_is_the_farms_fault_and_leaves_nothing() {
    let (site, mark) = (Site::stand_in(""), mark());
    let build = Build::new("mini12", &[&stubborn(&mark)]);
    let driver = site.driver().await;
    let id = build.request.id.to_string();
    let killing = async {
        let is_building = || processes_with(&mark).iter().any(|process| process.contains("sleep"));
        eventually("the build to begin", DEADLINE, async || is_building().then_some(())).await;
        for process in processes_with(&id).iter().filter(|process| process.contains(": /bin/bash ")) {
            let pid = process.split_once(':').unwrap().0.parse().unwrap();
            rustix_kill(pid);
        }
    };
    let (built, ()) = tokio::join!(build.run(&driver), killing);
    let error = built.result.unwrap_err();
    assert_eq!(error.cause, Cause::Internal, "{error}");
    assert!(error.message.contains("mock ended with 137"), "{error}");
    nothing_is_left(&site, &mark);
}

fn rustix_kill(pid: i32) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn what_mock_cannot_clean_is_kept_for_the_next_start() {
    let (site, mark) = (Site::stand_in("cannot-clean"), mark());
    let mut build = Build::new("mini12", &[&stubborn(&mark)]);
    build.cancel_at = Some(Stage::Build);
    let built = build.run(&site.driver().await).await;
    assert_eq!(built.outcome(), &BuildOutcome::Cancelled);
    assert!(built.log.contains("mock could not clean its chroot"), "{}", built.log);
    assert_eq!(processes_with(&mark), [""; 0]);
    assert!(!site.leftovers().is_empty());
    let config = site.config.config_dir.join("mini12-x86_64.cfg");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("cannot-clean", "")).unwrap();
    site.driver().await;
    nothing_is_left(&site, &mark);
}

#[tokio::test]
async fn what_a_killed_builder_leaves_ends_at_once_and_is_cleaned_at_the_next_start() {
    let (site, mark) = (Site::stand_in(""), mark());
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "ends::a_builder_to_be_killed"])
        .env("FARM_TEST_SITE", site.folder.path())
        .env("FARM_TEST_MARK", &mark)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let is_building = || processes_with(&mark).iter().any(|process| process.contains("sleep"));
    eventually("the build to begin", DEADLINE, async || is_building().then_some(())).await;
    victim.kill().unwrap();
    victim.wait().unwrap();
    let is_gone = || processes_with(&mark).is_empty();
    eventually("its processes to be gone", Duration::from_secs(2), async || is_gone().then_some(())).await;
    assert!(site.data().join("mock/killed-1").exists());
    site.driver().await;
    nothing_is_left(&site, &mark);
}

#[tokio::test]
#[ignore = "the victim of what_a_killed_builder_leaves_ends_at_once_and_is_cleaned_at_the_next_start"]
async fn a_builder_to_be_killed() {
    let mark = std::env::var("FARM_TEST_MARK").unwrap();
    let folder = std::path::PathBuf::from(std::env::var_os("FARM_TEST_SITE").unwrap());
    let mut config = Site::stand_in("").config;
    config.config_dir = folder.join("etc");
    let driver = MockDriver::new(&folder.join("data"), config).await.unwrap();
    let mut build = Build::new("mini12", &[&stubborn(&mark)]);
    build.request.id = "killed-1".parse().unwrap();
    build.run(&driver).await;
}
