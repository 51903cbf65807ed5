//! What builders say of themselves, and what that does to claims that wait.

use std::time::Duration;

use farm_api::hub::{Claimed, Leave, Wanted};
use farm_db::operator;
use farm_types::BuilderState;
use reqwest::StatusCode;

use crate::support::{Farm, SOON, ok, refusal};

#[tokio::test]
async fn the_claim_of_a_builder_that_takes_nothing_more_is_answered_at_once() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    for leaves in [false, true] {
        let waiting = builder.clone();
        let claim = tokio::spawn(async move { waiting.claim(1, 60).await });
        farm.wait_for_waiters(1).await;
        if leaves {
            let answer = builder.post("leave", None, &Leave { instance: builder.instance, for_good: false }).await;
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        } else {
            ok::<Wanted>(builder.post("status", None, &builder.status(Some("no disk"))).await).await;
        }
        let leases = tokio::time::timeout(Duration::from_secs(5), claim).await.expect("it waited").unwrap();
        assert!(leases.is_empty());
    }
}

#[tokio::test]
async fn a_builder_is_told_what_an_operator_wants_of_it() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    let name = "one".parse().unwrap();
    let (state, reason) = (BuilderState::Draining, Some("a new disk"));
    operator::set_builder_state(&mut farm.conn(), &farm_db::testing::operator(), &name, state, reason).unwrap();
    let wanted: Wanted = ok(builder.post("status", None, &builder.status(None)).await).await;
    assert_eq!(wanted, Wanted { state, reason: reason.map(str::to_owned) });
}

#[tokio::test]
async fn a_builder_hears_at_once_that_the_next_task_does_not_fit_and_how_much_it_takes() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    let waiting = builder.clone();
    let claim = tokio::spawn(async move { waiting.post("claim", None, &waiting.claim_request(1, 60)).await });
    farm.wait_for_waiters(1).await;
    farm.set_weight(3);
    farm.job(&["a-x86_64"]);
    let answer = tokio::time::timeout(SOON, claim).await.expect("it waited").unwrap();
    let claimed: Claimed = ok(answer).await;
    assert!(claimed.leases.is_empty());
    assert_eq!(claimed.saves_slots, Some(3));
    let leases = builder.claim(3, 0).await;
    assert_eq!(leases.iter().map(|lease| lease.weight).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn a_life_that_is_over_cannot_hand_over() {
    let farm = Farm::start().await;
    let first = farm.builder("one").await;
    let _second = first.hello().await;
    let answer = first.post("leave", None, &Leave { instance: first.instance, for_good: false }).await;
    assert_eq!(refusal(answer).await, farm_api::error::ErrorCode::Conflict);
}

#[tokio::test]
async fn a_hub_gives_a_sign_of_life_by_which_the_janitor_knows_that_leases_can_be_renewed() {
    let farm = Farm::start().await;
    let pulse = "SELECT count(*) FROM farm.hub_pulse WHERE at > now() - interval '20 seconds' AND lease = interval '60 seconds'";
    farm_testing::eventually("the pulse", SOON, async || (farm.count(pulse) == 1).then_some(())).await;
}
