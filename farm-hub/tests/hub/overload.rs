//! More is asked of a hub than it can do: who comes in vain is told so at once, and what was accepted goes on.

use diesel::connection::SimpleConnection as _;
use farm_api::{error::ErrorCode, hub::Claimed};
use farm_testing::TestDb;
use farm_types::Outcome;
use futures::{StreamExt as _, stream::FuturesUnordered};
use reqwest::{Response, StatusCode};

use crate::support::{Builder, Farm, SOON, ok, refusal};

/// Calls that fit in at once, and how much more is asked for.
const ROOM: usize = 4;
const TIMES: usize = 10;

/// A hub with little room, behind a proxy, so that calls come from many addresses.
async fn small_hub() -> Farm {
    let farm = Farm::start_on(TestDb::new(), |config| {
        config.max_calls = ROOM;
        config.http.behind_proxy = true;
    });
    let farm = farm.await;
    farm.ready().await;
    farm
}

/// A report that the database is asked about at once.
async fn report(builder: Builder, address: String) -> Response {
    let report = builder.status(Some("no disk"));
    builder
        .call(reqwest::Method::POST, "status", None)
        .header("x-forwarded-for", address)
        .json(&report)
        .send()
        .await
        .unwrap()
}

/// Reports of so many, each from an address of its own unless `from` says from where.
fn reports(
    builder: &Builder,
    number: usize,
    from: Option<&str>,
) -> FuturesUnordered<tokio::task::JoinHandle<Response>> {
    let address = |n: usize| from.map_or_else(|| format!("192.0.2.{n}"), str::to_owned);
    (0..number).map(|n| tokio::spawn(report(builder.clone(), address(n)))).collect()
}

async fn assert_sent_away(answer: Response, code: ErrorCode) {
    let seconds = answer.headers().get("retry-after").expect("it does not say when to come again");
    assert!(seconds.to_str().unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(refusal(answer).await, code);
}

#[tokio::test]
async fn ten_times_too_many_calls_are_sent_away_at_once_and_neither_leases_nor_results_suffer() {
    let farm = small_hub().await;
    let builder = farm.builder("one").await;
    farm.job(&["a-x86_64"]);
    let lease = builder.claim_one().await;
    // The database is slow to take reports.
    let mut lock = farm.conn();
    lock.batch_execute("BEGIN; LOCK TABLE farm.builder_status").unwrap();
    let mut calls = reports(&builder, ROOM * TIMES, None);
    for _ in 0..ROOM * (TIMES - 1) {
        let answer = tokio::time::timeout(SOON, calls.next()).await.expect("a call waits in vain").unwrap().unwrap();
        assert_sent_away(answer, ErrorCode::Unavailable).await;
    }
    assert!(builder.renew(&[&lease], 1).await.gone.is_empty());
    assert_eq!(builder.finish(&lease.key, Outcome::Succeeded).await.status(), StatusCode::NO_CONTENT);
    lock.batch_execute("COMMIT").unwrap();
    while let Some(answer) = calls.next().await {
        assert_eq!(answer.unwrap().status(), StatusCode::OK, "a call that was let in was not carried out");
    }
    assert_eq!(report(builder, "192.0.2.1".to_owned()).await.status(), StatusCode::OK, "there is no room afterwards");
}

#[tokio::test]
async fn one_address_cannot_take_all_the_room_there_is() {
    let farm = small_hub().await;
    let builder = farm.builder("one").await;
    let mut lock = farm.conn();
    lock.batch_execute("BEGIN; LOCK TABLE farm.builder_status").unwrap();
    let mut greedy = reports(&builder, ROOM * TIMES, Some("192.0.2.66"));
    for _ in 0..ROOM * TIMES - ROOM / 2 {
        let answer = tokio::time::timeout(SOON, greedy.next()).await.expect("a call waits in vain").unwrap().unwrap();
        assert_sent_away(answer, ErrorCode::TooMany).await;
    }
    let other = tokio::spawn(report(builder.clone(), "192.0.2.1".to_owned()));
    lock.batch_execute("COMMIT").unwrap();
    assert_eq!(other.await.unwrap().status(), StatusCode::OK);
    while let Some(answer) = greedy.next().await {
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_claim_for_which_there_is_no_room_to_wait_is_sent_away_and_let_in_later() {
    let farm = Farm::start_on(TestDb::new(), |config| config.max_waiting = 1).await;
    farm.ready().await;
    let (first, second) = (farm.builder("first").await, farm.builder("second").await);
    let waiting = tokio::spawn(async move { first.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    let claim = second.claim_request(1, 60);
    assert_sent_away(second.post("claim", None, &claim).await, ErrorCode::Unavailable).await;
    farm.job(&["a-x86_64"]);
    assert_eq!(waiting.await.unwrap().len(), 1);
    farm.job(&["a-x86_64"]);
    let claimed: Claimed = ok(second.post("claim", None, &claim).await).await;
    assert_eq!(claimed.leases.len(), 1);
}
