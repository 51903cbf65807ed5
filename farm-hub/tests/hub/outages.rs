use std::time::Duration;

use farm_api::{
    error::ErrorCode,
    hub::{Claimed, Lease},
};
use farm_hub::Config;
use farm_postgres::Shutdown;
use farm_testing::{Cluster, TestDb};
use reqwest::StatusCode;

use crate::support::{Builder, Farm, SOON, ok, refusal};

#[tokio::test]
async fn a_hub_that_ends_answers_those_who_wait() {
    let farm = Farm::start().await;
    let builder = farm.builder("one").await;
    let (claimer, renewer) = (builder.clone(), builder.clone());
    farm.job(&["a-x86_64"]);
    let lease = builder.claim_one().await;
    let renewal = tokio::spawn(async move { renewer.renew(&[&lease], 20).await });
    let claim = tokio::spawn(async move { claimer.claim(1, 60).await });
    farm.wait_for_waiters(1).await;
    farm.begin_to_stop();
    let (claim, renewal) = tokio::time::timeout(Duration::from_secs(5), async { (claim.await, renewal.await) })
        .await
        .expect("somebody was left waiting");
    assert!(claim.unwrap().is_empty() && renewal.unwrap().gone.is_empty());
    farm.stopped().await;
}

#[tokio::test]
async fn tasks_are_handed_out_after_the_database_was_restarted_under_a_waiting_hub() {
    let cluster = Cluster::own();
    let farm = Farm::start_on(cluster.database(), |_| {}).await;
    farm.ready().await;
    let builder = farm.builder("one").await;
    let restart_and_submit = async {
        farm.wait_for_waiters(1).await;
        tokio::task::spawn_blocking(move || cluster.restart(Shutdown::Crash)).await.unwrap();
        farm.job(&["a-x86_64"])
    };
    let both = async { tokio::join!(restart_and_submit, claim_patiently(&farm, &builder)) };
    let (job, leases) = tokio::time::timeout(2 * SOON, both).await.expect("the task was not handed out");
    assert_eq!(leases[0].job, job);
}

#[tokio::test]
async fn without_its_database_the_hub_asks_to_come_again() {
    let away = |config: &mut Config| config.database = "host=/nowhere/at/all dbname=farm user=farm_hub".to_owned();
    let farm = Farm::start_on(TestDb::new(), away).await;
    let builder = farm.stranger("one");
    let key = "1/1/7d444840-9dc0-11d1-b245-5ffdce74fad2".parse().unwrap();
    for answer in [
        builder.post("claim", None, &builder.claim_request(1, 60)).await,
        builder.log(&key, 0, b"line\n").await,
        builder.finish(&key, farm_types::Outcome::Succeeded).await,
    ] {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(refusal(answer).await, ErrorCode::Unavailable);
    }
}

/// As a real builder does: whoever was looking into the queue just then is asked to come again.
async fn claim_patiently(farm: &Farm, builder: &Builder) -> Vec<Lease> {
    loop {
        let answer = builder.post("claim", None, &builder.claim_request(1, 60)).await;
        if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
            return ok::<Claimed>(answer).await.leases;
        }
        farm.ready().await;
    }
}
