use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use farm_api::error::ErrorCode;
use farm_db::{operator, testing};
use farm_testing::TestDb;
use farm_types::{BuilderState, Outcome};
use futures::{StreamExt as _, stream::FuturesUnordered};

use crate::support::{Farm, SOON, refusal};

#[tokio::test]
async fn a_task_that_is_there_is_handed_out_at_once_with_all_that_is_needed_to_build_it() {
    let farm = Farm::start().await;
    let job = farm.job(&["a-x86_64"]);
    let lease = farm.builder("one").await.claim_one().await;
    assert_eq!(lease.job, job);
    assert_eq!(lease.recipe.name.as_str(), "a-x86_64");
    assert_eq!(lease.timeout_seconds, 7200);
    assert_eq!(lease.sources.len(), 1);
    assert_eq!(lease.sources[0].label, "hello-1-1");
}

#[tokio::test]
async fn a_waiting_builder_is_given_a_task_within_a_second_of_its_submission() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    let claim = tokio::spawn(async move { builder.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    let job = farm.job(&["a-x86_64"]);
    let leases = tokio::time::timeout(Duration::from_secs(1), claim).await.expect("it took more than a second");
    assert_eq!(leases.unwrap()[0].job, job);
}

#[tokio::test]
async fn one_task_wakes_exactly_one_of_twenty_waiters() {
    let farm = Farm::start().await;
    let mut claims = FuturesUnordered::new();
    for number in 0..20 {
        let builder = farm.builder(&format!("builder{number}")).await;
        claims.push(tokio::spawn(async move { builder.claim(1, 60).await }));
    }
    farm.wait_for_waiters(20).await;
    for left in (17..20).rev() {
        farm.job(&["a-x86_64"]);
        let leases = tokio::time::timeout(SOON, claims.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(leases.len(), 1);
        farm.wait_for_waiters(left).await;
    }
    farm.begin_to_stop();
    while let Some(leases) = claims.next().await {
        assert!(leases.unwrap().is_empty(), "a task was handed out twice");
    }
    assert_eq!(farm.count("SELECT count(*) FROM farm.attempt"), 3);
}

#[tokio::test]
async fn as_many_waiters_are_woken_as_there_are_tasks() {
    let farm = Farm::start().await;
    let mut claims = FuturesUnordered::new();
    for number in 0..6 {
        let builder = farm.builder(&format!("builder{number}")).await;
        claims.push(tokio::spawn(async move { builder.claim(1, 60).await }));
    }
    farm.wait_for_waiters(6).await;
    // All of them become ready in one moment, with one notification.
    let first = testing::submitted(&mut farm.conn(), None);
    for _ in 0..6 {
        let next = testing::submitted(&mut farm.conn(), Some(first));
        testing::accept(&mut farm.conn(), next, &["a-x86_64"]);
    }
    testing::platform(&mut farm.conn(), "other-i686");
    testing::accept(&mut farm.conn(), first, &["other-i686"]);
    let mut conn = farm.conn();
    let other = testing::builder_for(&mut conn, "other", "i686");
    let key = other.claim_one(&mut conn);
    other.finish(&mut conn, &key, Outcome::Succeeded).unwrap();
    for _ in 0..6 {
        let leases = tokio::time::timeout(SOON, claims.next()).await.expect("a waiter was forgotten").unwrap();
        assert_eq!(leases.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_builder_that_hung_up_swallows_neither_the_wake_up_nor_the_task() {
    let farm = Farm::start().await;
    let (first, second) = (farm.builder("first").await, farm.builder("second").await);
    let gone = tokio::spawn(async move { first.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    let claim = tokio::spawn(async move { second.claim(1, 60).await });
    farm.wait_for_waiters(2).await;
    gone.abort();
    let job = farm.job(&["a-x86_64"]);
    let leases = tokio::time::timeout(SOON, claim).await.expect("nobody was given the task").unwrap();
    assert_eq!(leases[0].job, job);
}

#[tokio::test]
async fn a_task_that_was_claimed_for_a_builder_that_hung_up_meanwhile_goes_back_at_once() {
    let farm = Farm::start().await;
    let (gone, next) = (farm.builder("gone").await, farm.builder("next").await);
    farm.job(&["a-x86_64"]);
    // The claim has to wait for this lock, so the builder can hang up in the middle of it.
    let mut lock = farm.conn();
    lock.batch_execute("BEGIN; SELECT FROM farm.task FOR UPDATE").unwrap();
    let connection = gone.claim_on_a_connection().await;
    farm_testing::eventually("the claim", SOON, async || {
        let blocked = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'farm_hub' AND wait_event_type = 'Lock'";
        (farm.count(blocked) == 1).then_some(())
    })
    .await;
    drop(connection);
    farm.catch_up().await;
    lock.batch_execute("COMMIT").unwrap();
    let leases = tokio::time::timeout(SOON, next.claim(1, 60)).await.expect("the task is stuck");
    assert_eq!(leases[0].key.attempt.0, 2);
    assert_eq!(farm.count("SELECT count(*) FROM farm.attempt WHERE outcome = 'released'"), 1);
}

#[tokio::test]
async fn a_platform_that_is_not_served_is_never_handed_out() {
    let farm = Farm::start().await;
    testing::platform(&mut farm.conn(), "a-ppc64le");
    farm.job(&["a-ppc64le"]);
    let builder = farm.builder("one").await;
    assert!(builder.claim(4, 0).await.is_empty());
    let claim = tokio::spawn({
        let builder = builder.clone();
        async move { builder.claim(4, 60).await }
    });
    farm.wait_for_waiters(1).await;
    farm.job(&["a-ppc64le"]);
    let job = farm.job(&["a-x86_64"]);
    let leases = tokio::time::timeout(SOON, claim).await.unwrap().unwrap();
    assert_eq!(leases.iter().map(|lease| lease.job).collect::<Vec<_>>(), [job]);
}

#[tokio::test]
async fn a_platform_that_was_added_while_a_builder_waits_is_served() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    let claim = tokio::spawn(async move { builder.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    testing::platform(&mut farm.conn(), "new-x86_64");
    let job = farm.job(&["new-x86_64"]);
    let leases = tokio::time::timeout(SOON, claim).await.expect("the new platform is not served").unwrap();
    assert_eq!(leases[0].job, job);
}

#[tokio::test]
async fn a_task_whose_backoff_has_ended_is_handed_out_though_nothing_tells_of_it() {
    let farm = Farm::start_on(TestDb::new(), |config| config.rescan_seconds = 1).await;
    let builder = farm.builder("one").await;
    farm.job(&["a-x86_64"]);
    let lease = builder.claim_one().await;
    builder.finish(&lease.key, Outcome::FarmFault).await;
    let backoff = "UPDATE farm.ready SET not_before = now() + interval '2 seconds'";
    farm.conn().batch_execute(backoff).unwrap();
    let leases = tokio::time::timeout(SOON, builder.claim(1, 60)).await.expect("it was forgotten");
    assert_eq!(leases[0].key.attempt.0, 2);
}

#[tokio::test]
async fn two_hubs_hand_out_a_task_once_and_a_builder_may_call_either() {
    let farm = Farm::start().await;
    let second = farm.second_hub().await;
    let here = farm.builder("here").await;
    let there = farm.builder("there").await.at(&second);
    let claims = [here.clone(), there.clone()].map(|builder| tokio::spawn(async move { builder.claim(1, 3).await }));
    farm.wait_for_waiters(1).await;
    farm.job(&["a-x86_64"]);
    let [here_got, there_got] = claims.map(|claim| async { claim.await.unwrap() });
    let (here_got, there_got) = (here_got.await, there_got.await);
    assert_eq!(here_got.len() + there_got.len(), 1);
    let (builder, lease) =
        if here_got.is_empty() { (there.at(&farm.url), there_got) } else { (here.at(&second), here_got) };
    assert!(builder.finish(&lease[0].key, Outcome::Succeeded).await.status().is_success());
}

#[tokio::test]
async fn a_draining_builder_is_given_nothing() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    operator::set_builder_state(
        &mut farm.conn(),
        &testing::operator(),
        &"one".parse().unwrap(),
        BuilderState::Draining,
        None,
    )
    .unwrap();
    farm.job(&["a-x86_64"]);
    assert!(builder.claim(1, 0).await.is_empty());
}

#[tokio::test]
async fn a_waiting_builder_is_given_what_waits_as_soon_as_it_is_enabled_again_or_its_platform_is() {
    let farm = Farm::start().await;
    let (name, platform) = ("one".parse().unwrap(), "a-x86_64".parse().unwrap());
    let builder = farm.builder("one").await;
    for of_platform in [true, false] {
        let set = |enabled| {
            let state = if enabled { BuilderState::Enabled } else { BuilderState::Disabled };
            match of_platform {
                true => operator::enable_platform(&mut farm.conn(), &testing::operator(), &platform, enabled).unwrap(),
                false => {
                    operator::set_builder_state(&mut farm.conn(), &testing::operator(), &name, state, None).unwrap()
                }
            }
        };
        farm.job(&["a-x86_64"]);
        set(false);
        let waiting = builder.clone();
        let claim = tokio::spawn(async move { waiting.claim(1, 60).await });
        farm.wait_for_waiters(1).await;
        set(true);
        let leases = tokio::time::timeout(SOON, claim).await.expect("nobody looked").unwrap();
        assert_eq!(leases.len(), 1, "of the platform: {of_platform}");
    }
}

#[tokio::test]
async fn a_claim_of_an_earlier_life_is_refused() {
    let farm = Farm::start().await;
    let before = farm.builder("one").await;
    before.hello().await;
    farm.job(&["a-x86_64"]);
    let answer = before.post("claim", None, &before.claim_request(1, 0)).await;
    assert_eq!(refusal(answer).await, ErrorCode::Conflict);
}

#[tokio::test]
async fn who_has_no_token_or_an_unknown_one_or_that_of_another_is_refused() {
    let farm = Farm::start().await;
    let known = farm.builder("known").await;
    let url = known.call(reqwest::Method::POST, "claim", None).build().unwrap().url().clone();
    let claim = known.claim_request(1, 0);
    let nobody = reqwest::Client::new().post(url.clone()).json(&claim).send().await.unwrap();
    assert_eq!(refusal(nobody).await, ErrorCode::Unauthenticated);
    let unknown = reqwest::Client::new()
        .post(url)
        .bearer_auth(farm_auth::Token::generate().expose())
        .json(&claim)
        .send()
        .await
        .unwrap();
    assert_eq!(refusal(unknown).await, ErrorCode::Unauthenticated);
    let hello = serde_json::json!({
        "name": "other", "instance": uuid::Uuid::new_v4(), "version": "1", "arches": ["x86_64"], "slots": 1,
    });
    assert_eq!(refusal(known.post("hello", None, &hello).await).await, ErrorCode::Forbidden);
}
