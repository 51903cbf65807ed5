//! Packages that do not want to end.

use std::time::{Duration, Instant};

use farm_types::{Cause, Stage};

use crate::support::Attack;

#[tokio::test]
async fn a_build_that_sleeps_and_hears_no_signal_is_ended() {
    let attack = Attack::new("sleeper").limits(|limits| limits.timeout = Duration::from_secs(3));
    let built = attack.fails(Cause::Timeout, Stage::Build).await;
    assert!(built.log.lines().any(|line| line == "asleep"), "{}", built.log);
}

#[tokio::test]
async fn a_build_that_stops_itself_is_ended_for_its_silence() {
    let attack = Attack::new("stopped").limits(|limits| limits.silence_timeout = Duration::from_secs(3));
    attack.fails(Cause::Silent, Stage::Build).await;
}

#[tokio::test]
async fn what_a_build_leaves_running_ends_with_it() {
    let began = Instant::now();
    let built = Attack::new("leftover").run().await;
    built.packages();
    assert!(built.log.lines().any(|line| line == "left"), "{}", built.log);
    assert!(began.elapsed() < Duration::from_secs(60), "nobody waits for a thousand seconds");
}
