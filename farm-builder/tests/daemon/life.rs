//! Slots and weights, thresholds, and builders that are to take no more.

use farm_db::{Viewer, operator, read, testing};
use farm_testing::{Signal, Spec, eventually};
use farm_types::{BuilderState, Class, PersonId, TaskId};

use crate::{
    common::platform,
    support::{Farm, SOON},
};

#[tokio::test]
async fn builds_of_weight_two_have_no_room_beside_each_other_in_three_slots() {
    let farm = Farm::start();
    let mut recipe = platform("mini12");
    recipe.weight = Some(2);
    operator::put_platform(&mut farm.conn(), &testing::operator(), &recipe).unwrap();
    let spec = |name: &str| [Spec::named(name).build("sleep 2").srpm()];
    let jobs = [farm.job(&spec("heavy")).await, farm.job(&spec("weighty")).await];
    let builder = farm.builder("weights", "slots = 3");
    for job in jobs {
        assert_eq!(farm.ended(job).await, "succeeded");
    }
    builder.wait_for_log("the next task takes 2 slots: they are kept until so many are free");
    let apart = "SELECT max(started_at) >= min(finished_at) FROM farm.attempt WHERE $1 > 0";
    assert_eq!(farm.ask(jobs[0], apart).as_deref(), Some("true"));
}

#[tokio::test]
async fn a_builder_that_waits_on_a_spare_slot_takes_a_background_task_when_another_one_becomes_free() {
    let farm = Farm::start();
    let builder = farm.builder("roomy", "slots = 2");
    operator::set_spare_slots(&mut farm.conn(), &testing::operator(), &"roomy".parse().unwrap(), 1).unwrap();
    let spec = |name: &str| [Spec::named(name).build("sleep 2").srpm()];
    let first = farm.job_with(&spec("first"), |job| job.class = Class::Background).await;
    let second = farm.job_with(&spec("second"), |job| job.class = Class::Background).await;
    assert_eq!([farm.ended(first).await, farm.ended(second).await], ["succeeded", "succeeded"]);
    // A claim that finds nothing waits for half a minute.
    let waited = "SELECT b.started_at - a.finished_at < interval '10 seconds' AND b.started_at >= a.finished_at
                  FROM farm.attempt a JOIN farm.attempt b ON b.task_id > a.task_id WHERE $1 > 0";
    assert_eq!(farm.ask(first, waited).as_deref(), Some("true"), "{}", builder.log());
}

#[tokio::test]
async fn a_builder_that_is_short_of_something_takes_nothing_and_everybody_is_told_why() {
    let farm = Farm::start();
    let short = farm.builder("short", "[thresholds]\nmemory_bytes = 9000000000000000000");
    short.wait_for_log("no tasks are taken");
    let job = farm.job(&[Spec::named("waits").srpm()]).await;
    let told = || farm.ask(job, "SELECT takes_nothing FROM farm.builder_view WHERE $1 > 0");
    let reason = eventually("the hub to be told", SOON, async || told()).await;
    assert!(reason.ends_with("GiB of memory available, 8381903171.5 needed"), "{reason}");
    let task = farm.ask(job, "SELECT id FROM farm.task WHERE job_id = $1").unwrap().parse().unwrap();
    let alice = farm.ask(job, "SELECT person_id FROM farm.job WHERE id = $1").unwrap().parse().unwrap();
    let why = read::why(&mut farm.conn(), Viewer(Some(PersonId(alice))), TaskId(task)).unwrap();
    assert!(why.summary.contains("short takes nothing: ") && why.summary.contains(&reason), "{why:?}");
    // Somebody else has enough.
    let _other = farm.builder("plenty", "");
    assert_eq!(farm.ended(job).await, "succeeded");
    assert_eq!(farm.attempts(job, "(SELECT name FROM farm.builder b WHERE b.id = builder_id)"), "plenty");
}

#[tokio::test]
async fn at_sigusr1_a_builder_finishes_what_it_has_takes_no_more_and_ends() {
    let farm = Farm::start();
    let mut builder = farm.builder("finishes", "slots = 2\ndrain_seconds = 0");
    let job = farm.job(&[Spec::named("under-way").build("echo ready; sleep 6").srpm()]).await;
    farm.logged(job, "ready").await;
    builder.signal(Signal::USR1);
    let told = "SELECT takes_nothing FROM farm.builder_view WHERE $1 > 0";
    let reason = eventually("the hub to be told", SOON, async || farm.ask(job, told)).await;
    assert_eq!(reason, "it finishes what it has and ends, as it was told by a signal");
    let other = farm.job(&[Spec::named("comes-later").srpm()]).await;
    assert!(builder.wait(SOON).success());
    assert_eq!(farm.attempts(job, "outcome"), "succeeded");
    assert_eq!(farm.attempts(other, "outcome"), "");
}

#[tokio::test]
async fn a_builder_learns_that_an_operator_lets_it_finish_and_that_it_is_wanted_again() {
    let farm = Farm::start();
    let name = "learns".parse().unwrap();
    let set = |state, reason| {
        operator::set_builder_state(&mut farm.conn(), &testing::operator(), &name, state, reason).unwrap();
    };
    let config = farm.builder_config("learns", "");
    set(BuilderState::Draining, Some("a new disk"));
    let builder = farm_testing::Process::daemon("farm-builder", &config);
    builder.wait_for_log("finish what it has and gives it no more (a new disk)");
    let job = farm.job(&[Spec::named("waits").srpm()]).await;
    assert_eq!(farm.attempts(job, "outcome"), "");
    set(BuilderState::Enabled, None);
    assert_eq!(farm.ended(job).await, "succeeded");
}
