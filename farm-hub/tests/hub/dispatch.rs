//! Who is given what when many wait, or many hubs do.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use diesel::connection::SimpleConnection as _;
use farm_db::{invariants, operator, testing};
use farm_testing::TestDb;
use farm_types::{BuilderState, Outcome};
use tokio::task::JoinSet;

use crate::support::{Builder, Farm, SOON};

#[tokio::test(flavor = "multi_thread")]
async fn three_hubs_hand_out_every_task_once_and_none_is_forgotten() {
    const TASKS: usize = 60;
    let farm = Farm::start().await;
    let hubs = [farm.url.clone(), farm.second_hub().await, farm.second_hub().await];
    let (mut builders, built) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for number in 0..9 {
        let builder = farm.builder(&format!("builder{number}")).await.at(&hubs[number % 3]);
        builders.spawn(build_all(builder, Arc::clone(&built)));
    }
    for _ in 0..TASKS {
        farm.job(&["a-x86_64"]);
    }
    let done = async || (built.load(Ordering::SeqCst) == TASKS).then_some(());
    farm_testing::eventually("all tasks to be done", 3 * SOON, done).await;
    builders.shutdown().await;
    assert_eq!(built.load(Ordering::SeqCst), TASKS);
    assert_eq!(farm.count("SELECT count(*) FROM farm.task WHERE state = 'succeeded'"), i64::try_from(TASKS).unwrap());
    let attempts = "SELECT count(*) FROM farm.attempt WHERE outcome IS DISTINCT FROM 'succeeded'";
    assert_eq!(farm.count(attempts), 0, "a task was claimed and not delivered");
    assert!(invariants::check(&mut farm.conn()).unwrap().is_empty());
}

/// Claims and finishes, and counts what it was given.
async fn build_all(builder: Builder, built: Arc<AtomicUsize>) {
    loop {
        for lease in builder.claim(2, 60).await {
            assert!(builder.finish(&lease.key, Outcome::Succeeded).await.status().is_success());
            built.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn a_task_is_claimed_at_the_moment_at_which_it_can_be() {
    // No look finds it: the hub knows the time.
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    let waiting = builder.clone();
    let first = tokio::spawn(async move { waiting.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    farm.job(&["a-x86_64"]);
    let lease = first.await.unwrap().remove(0);
    builder.finish(&lease.key, Outcome::FarmFault).await;
    let leases = tokio::time::timeout(SOON, builder.claim(1, 60)).await.expect("it was forgotten");
    assert_eq!((leases[0].key.task, leases[0].key.attempt.0), (lease.key.task, 2));
    let waited = "SELECT count(*) FROM farm.attempt a JOIN farm.attempt b USING (task_id)
                  WHERE a.number = 1 AND b.number = 2 AND b.started_at >= a.finished_at + interval '5 seconds'";
    assert_eq!(farm.count(waited), 1, "it was claimed too early");
}

#[tokio::test]
async fn a_builder_that_is_given_nothing_any_more_does_not_keep_a_task_from_the_next_one() {
    let farm = Farm::start().await;
    let (first, second) = (farm.builder("first").await, farm.builder("second").await);
    let drained = tokio::spawn(async move { first.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    let claim = tokio::spawn(async move { second.claim(1, 60).await });
    farm.wait_for_waiters(2).await;
    // Nothing tells the hub.
    let drain = format!("UPDATE farm.builder SET state = '{}' WHERE name = 'first'", BuilderState::Draining.as_str());
    farm.conn().batch_execute(&drain).unwrap();
    let job = farm.job(&["a-x86_64"]);
    let leases = tokio::time::timeout(SOON, claim).await.expect("the task is stuck").unwrap();
    assert_eq!(leases[0].job, job);
    farm.begin_to_stop();
    assert!(drained.await.unwrap().is_empty());
}

#[tokio::test]
async fn who_claims_again_waits_in_the_place_of_its_earlier_call() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    let claim = || {
        let builder = builder.clone();
        tokio::spawn(async move { builder.claim(1, 60).await })
    };
    // Its connection is dead, and nothing tells the hub.
    let dead = claim();
    farm.wait_for_waiters(1).await;
    let alive = claim();
    assert!(dead.await.unwrap().is_empty());
    farm.job(&["a-x86_64"]);
    assert_eq!(tokio::time::timeout(SOON, alive).await.expect("it waits in vain").unwrap().len(), 1);
}

#[tokio::test]
async fn many_tasks_are_handed_out_in_their_order() {
    let farm = Farm::start_on(TestDb::new(), |_| {}).await;
    farm.ready().await;
    for _ in 0..30 {
        farm.job(&["a-x86_64"]);
    }
    let builder = farm.builder("one").await;
    let mut tasks = Vec::new();
    while tasks.len() < 30 {
        for lease in tokio::time::timeout(SOON, builder.claim(4, 60)).await.expect("it waits in vain") {
            assert!(builder.finish(&lease.key, Outcome::Succeeded).await.status().is_success());
            tasks.push(lease.key.task);
        }
    }
    assert!(tasks.is_sorted(), "{tasks:?}");
}

#[tokio::test]
async fn a_mass_rebuild_leaves_the_spare_slot_to_whoever_comes() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    operator::set_spare_slots(&mut farm.conn(), &testing::operator(), &"one".parse().unwrap(), 1).unwrap();
    let jobs: Vec<_> = (0..5).map(|_| farm.background_job()).collect();
    let began = builder.claim(3, 60).await;
    assert_eq!(began.iter().map(|lease| lease.job).collect::<Vec<_>>(), jobs[..2]);
    let spare = builder.clone();
    let claim = tokio::spawn(async move { spare.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    farm.background_job();
    let mine = farm.job(&["a-x86_64"]);
    let leases = tokio::time::timeout(SOON, claim).await.expect("it waits in vain").unwrap();
    assert_eq!(leases.iter().map(|lease| lease.job).collect::<Vec<_>>(), [mine]);
    // Who is let do more is given more at once.
    let free = builder.clone();
    let claim = tokio::spawn(async move { free.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    operator::set_spare_slots(&mut farm.conn(), &testing::operator(), &"one".parse().unwrap(), 0).unwrap();
    let leases = tokio::time::timeout(SOON, claim).await.expect("it waits in vain").unwrap();
    assert_eq!(leases.iter().map(|lease| lease.job).collect::<Vec<_>>(), [jobs[2]]);
}

#[tokio::test]
async fn a_notification_that_makes_no_sense_does_no_harm() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    let claim = tokio::spawn(async move { builder.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    let key = r#"{"platform": "a-x86_64", "class": "urgent", "rank": 0, "task": 4711, "weight": 1, "due_in": 0}"#;
    for payload in ["", "?", "nowhere-x86_64", "{}", key, &key.replace("\"weight\": 1", "\"weight\": 9")] {
        farm.conn().batch_execute(&format!("NOTIFY farm_ready, '{payload}'")).unwrap();
    }
    let job = testing::accepted(&mut farm.conn(), &["a-x86_64"]);
    let leases = tokio::time::timeout(SOON, claim).await.expect("the task is stuck").unwrap();
    assert_eq!(leases[0].job, job);
}
