//! Builds that are told to end.

use std::time::{Duration, Instant};

use diesel::{RunQueryDsl as _, sql_query};
use farm_db::{queue, testing};
use farm_testing::{Process, Signal, Spec, eventually};

use crate::{
    common::processes_with,
    proxy::StuckWay,
    support::{Farm, SOON, leftovers},
};

/// A package whose build says that it is ready and then takes as long as it may.
fn endless(name: &str) -> Spec {
    Spec::named(name).build(&format!("echo ready\n(exec -a hang-{name} sleep 1000)"))
}

async fn gone(name: &str) {
    let began = Instant::now();
    eventually("the end of the build", SOON, async || processes_with(&format!("hang-{name}")).is_empty().then_some(()))
        .await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_cancelled_task_is_stopped_at_once() {
    let farm = Farm::start();
    let builder = farm.builder("cancel", "");
    let job = farm.job(&[endless("cancelled").srpm()]).await;
    farm.logged(job, "ready").await;
    queue::cancel_job(&mut farm.conn(), &testing::person("alice"), job).unwrap();
    gone("cancelled").await;
    builder.wait_for_log("build ended");
    assert_eq!(farm.attempts(job, "outcome"), "cancelled");
    assert_eq!(farm.artifacts(job), "");
    // The slot is free again.
    let job = farm.job(&[Spec::named("next").srpm()]).await;
    assert_eq!(farm.ended(job).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_sources_or_results_are_stuck_on_their_way_is_cancelled_at_once() {
    let farm = Farm::start();
    for (name, request) in [("fetching", "GET /hub/v1/sources"), ("uploading", "PUT /hub/v1/blobs")] {
        let way = StuckWay::to(farm.hub.address(), request).await;
        let config = farm.builder_config_at(&format!("'http://{}/'", way.address), name, "");
        let mut builder = Process::daemon("farm-builder", &config);
        let job = farm.job(&[Spec::named(name).srpm()]).await;
        tokio::time::timeout(SOON, way.until_stuck()).await.unwrap();
        let began = Instant::now();
        queue::cancel_job(&mut farm.conn(), &testing::person("alice"), job).unwrap();
        builder.wait_for_log("build ended");
        assert!(began.elapsed() < Duration::from_secs(2), "{name}: {:?}", began.elapsed());
        assert_eq!(farm.attempts(job, "outcome"), "cancelled");
        builder.terminate();
        assert_eq!(leftovers(name), [""; 0].map(std::path::PathBuf::from));
    }
}

#[tokio::test]
async fn a_builder_that_is_told_to_end_gives_its_tasks_back() {
    let farm = Farm::start();
    let mut builder = farm.builder("giveback", "drain_seconds = 1");
    let job = farm.job(&[endless("given-back").srpm()]).await;
    farm.logged(job, "ready").await;
    assert!(builder.terminate().success());
    assert_eq!(processes_with("hang-given-back"), [""; 0]);
    assert_eq!(farm.attempts(job, "outcome"), "released");
    let state = "SELECT state FROM farm.task WHERE job_id = $1";
    assert_eq!(farm.ask(job, state).as_deref(), Some("pending"));
    assert_eq!(leftovers("giveback").len(), 0);
}

#[tokio::test]
async fn a_build_that_ends_in_time_is_finished_before_the_builder_ends() {
    let farm = Farm::start();
    let mut builder = farm.builder("drain", "drain_seconds = 60");
    let job = farm.job(&[Spec::named("nearly").build("echo ready; sleep 3").srpm()]).await;
    farm.logged(job, "ready").await;
    assert!(builder.terminate().success());
    assert_eq!(farm.attempts(job, "outcome"), "succeeded");
}

#[tokio::test]
async fn a_killed_builder_leaves_nothing_and_its_next_life_builds_its_task() {
    let farm = Farm::start();
    let mut builder = farm.builder("killed", "");
    let job = farm.job(&[Spec::named("survivor").build("echo ready\n(exec -a hang-survivor sleep 6)").srpm()]).await;
    farm.logged(job, "ready").await;
    builder.kill();
    gone("survivor").await;
    let _next = farm.builder("killed", "");
    assert_eq!(farm.ended(job).await, "succeeded");
    assert_eq!(farm.attempts(job, "outcome"), "lost succeeded");
}

#[tokio::test]
async fn a_build_whose_lease_is_gone_is_stopped_and_nothing_of_it_is_kept() {
    let farm = Farm::start();
    let builder = farm.builder("paused", "");
    let job = farm.job(&[endless("lost").srpm()]).await;
    farm.logged(job, "ready").await;
    // What the janitor does when a builder was not heard for a minute, and a hub was.
    builder.signal(Signal::STOP);
    sql_query("UPDATE farm.lease SET expires_at = now() - interval '1 second'").execute(&mut farm.conn()).unwrap();
    testing::reap(&mut farm.conn());
    builder.signal(Signal::CONT);
    gone("lost").await;
    assert_eq!(farm.attempts(job, "outcome").split(' ').next(), Some("lost"));
    assert_eq!(farm.artifacts(job), "");
}
