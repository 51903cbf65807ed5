use farm_api::{
    error::ErrorCode,
    hub::{Release, StageBegan},
};
use farm_db::testing;
use farm_types::{LeaseKey, LeaseToken, Outcome, Stage};
use reqwest::{Response, StatusCode};
use uuid::Uuid;

use crate::support::{Builder, Farm, SOON, refusal, sha256};

/// Every call that a lease allows.
async fn every_call(builder: &Builder, key: &LeaseKey) -> Vec<Response> {
    vec![
        builder.post("stage", Some(key), &StageBegan { stage: Stage::Build }).await,
        builder.log(key, 0, b"line\n").await,
        builder.blob(key, &sha256(b"bytes"), b"bytes").await,
        builder.call(reqwest::Method::GET, "sources/1", Some(key)).send().await.unwrap(),
        builder.post("release", Some(key), &Release { message: "on purpose".to_owned() }).await,
        builder.finish(key, Outcome::Succeeded).await,
    ]
}

async fn assert_all_lost(answers: Vec<Response>) {
    for answer in answers {
        let url = answer.url().clone();
        assert_eq!(refusal(answer).await, ErrorCode::LeaseLost, "{url}");
    }
}

/// What calls with a lost lease must not change.
fn everything(farm: &Farm) -> [i64; 5] {
    [
        "SELECT count(*) FROM farm.attempt WHERE outcome IS NULL AND stage IS NULL AND log_size = 0",
        "SELECT count(*) FROM farm.lease",
        "SELECT count(*) FROM farm.blob",
        "SELECT count(*) FROM farm.log_chunk",
        "SELECT count(*) FROM farm.task WHERE state = 'leased'",
    ]
    .map(|sql| farm.count(sql))
}

#[tokio::test]
async fn the_lease_of_another_builder_and_a_guessed_one_are_refused_and_change_nothing() {
    let farm = Farm::start().await;
    let (owner, other) = (farm.builder("owner").await, farm.builder("other").await);
    farm.job(&["a-x86_64"]);
    let lease = owner.claim_one().await;
    let before = everything(&farm);
    assert_all_lost(every_call(&other, &lease.key).await).await;
    let guessed = LeaseKey { token: LeaseToken(Uuid::new_v4()), ..lease.key };
    assert_all_lost(every_call(&owner, &guessed).await).await;
    assert_eq!(everything(&farm), before);
}

#[tokio::test]
async fn a_stale_attempt_is_refused_everywhere_and_changes_nothing() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    farm.job(&["a-x86_64"]);
    let stale = builder.claim_one().await;
    expire_leases(&farm);
    assert_eq!(testing::reap(&mut farm.conn()), 1);
    let fresh = builder.claim_one().await;
    assert_eq!(fresh.key.attempt.0, 2);
    let before = everything(&farm);
    assert_all_lost(every_call(&builder, &stale.key).await).await;
    assert_eq!(everything(&farm), before);
    assert!(!farm.store.exists(&sha256(b"bytes")).await.unwrap());
    assert_eq!(builder.finish(&fresh.key, Outcome::Succeeded).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_finish_that_is_sent_twice_is_fine_and_a_different_one_is_not() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    farm.job(&["a-x86_64"]);
    let lease = builder.claim_one().await;
    for _ in 0..2 {
        assert_eq!(builder.finish(&lease.key, Outcome::Succeeded).await.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(refusal(builder.finish(&lease.key, Outcome::Failed).await).await, ErrorCode::LeaseLost);
    assert_eq!(farm.count("SELECT count(*) FROM farm.task WHERE state = 'succeeded'"), 1);
}

#[tokio::test]
async fn a_finish_that_makes_no_sense_keeps_the_lease() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    farm.job(&["a-x86_64"]);
    let lease = builder.claim_one().await;
    let artifact =
        |name: &str| serde_json::json!([{ "kind": "rpm", "name": name, "digest": sha256(b"").to_string(), "size": 0 }]);
    for (document, code) in [
        (serde_json::json!({ "outcome": "failed" }), ErrorCode::BadRequest),
        (serde_json::json!({ "outcome": "cancelled", "cause": "cancelled" }), ErrorCode::BadRequest),
        (serde_json::json!({ "outcome": "succeeded", "artifacts": artifact("../x") }), ErrorCode::BadRequest),
        // It was never delivered.
        (serde_json::json!({ "outcome": "succeeded", "artifacts": artifact("x.rpm") }), ErrorCode::NotFound),
    ] {
        assert_eq!(refusal(builder.post("finish", Some(&lease.key), &document).await).await, code, "{document}");
    }
    assert_eq!(builder.finish(&lease.key, Outcome::Failed).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_postgresql_cannot_hold_does_not_spoil_a_result() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    farm.job(&["a-x86_64"]);
    let lease = builder.claim_one().await;
    let end = serde_json::json!({
        "outcome": "failed", "cause": "build", "message": "a\u{0}b", "excerpt": [{ "number": 1, "text": "\u{0}" }],
    });
    assert_eq!(builder.post("finish", Some(&lease.key), &end).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_cancelled_task_ends_a_waiting_renewal_at_once() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    let (first, second) = (farm.job(&["a-x86_64"]), farm.job(&["a-x86_64"]));
    let leases = builder.claim(2, 0).await;
    assert!(builder.renew(&[&leases[0], &leases[1]], 0).await.gone.is_empty());
    let kept = leases.iter().find(|lease| lease.job == second).unwrap().clone();
    let waiting = tokio::spawn({
        let builder = builder.clone();
        async move { builder.renew(&leases.iter().collect::<Vec<_>>(), 20).await }
    });
    // A renewal that comes later sees it too: this test does not care which of the two it is.
    farm.cancel(first);
    let gone = tokio::time::timeout(SOON / 2, waiting).await.expect("the renewal went on waiting").unwrap().gone;
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].outcome, Outcome::Cancelled);
    assert!(builder.renew(&[&kept], 0).await.gone.is_empty());
}

#[tokio::test]
async fn a_builder_that_is_started_anew_gives_its_leases_back_at_once() {
    let farm = Farm::start().await;
    let (restarted, other) = (farm.builder("restarted").await, farm.builder("other").await);
    farm.job(&["a-x86_64"]);
    let lost = restarted.claim_one().await;
    let claim = tokio::spawn(async move { other.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    restarted.hello().await;
    let leases = tokio::time::timeout(SOON, claim).await.expect("the task did not come back").unwrap();
    assert_eq!((leases[0].key.task, leases[0].key.attempt.0), (lost.key.task, 2));
    assert_eq!(restarted.renew(&[&lost], 0).await.gone[0].outcome, Outcome::Lost);
}

#[tokio::test]
async fn a_task_that_is_given_back_goes_to_the_next_builder_and_costs_no_attempt() {
    let farm = Farm::start().await;
    let (first, second) = (farm.builder("first").await, farm.builder("second").await);
    farm.job(&["a-x86_64"]);
    let lease = first.claim_one().await;
    let claim = tokio::spawn(async move { second.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    let released = first.post("release", Some(&lease.key), &Release { message: "shutting down".to_owned() }).await;
    assert_eq!(released.status(), StatusCode::NO_CONTENT);
    let leases = tokio::time::timeout(SOON, claim).await.expect("the task did not come back").unwrap();
    assert_eq!(leases[0].key.task, lease.key.task);
    assert_eq!(farm.count("SELECT sum(faults) FROM farm.task"), 0);
}

fn expire_leases(farm: &Farm) {
    use diesel::RunQueryDsl as _;
    let expired = diesel::sql_query("UPDATE farm.lease SET expires_at = now() - interval '1 hour'");
    assert_eq!(expired.execute(&mut farm.conn()).unwrap(), 1);
}
