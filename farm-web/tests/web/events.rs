//! A job is told of as it changes.

use std::time::{Duration, Instant};

use farm_api::{
    client::{JobEvent, JobEvents, PeopleClient, Transport},
    people::Job,
};
use farm_postgres::Shutdown;
use farm_testing::{Cluster, DEADLINE, eventually};
use farm_types::{Progress, Stage};

use crate::farm::Farm;

async fn next(events: &mut JobEvents) -> Option<Job> {
    let event = tokio::time::timeout(DEADLINE, events.next()).await.expect("no event came")?;
    match event.unwrap() {
        JobEvent::Job(job) => Some(*job),
        JobEvent::Away(error) => panic!("{error}"),
    }
}

async fn until(events: &mut JobEvents, progress: Progress) -> Job {
    loop {
        let job = next(events).await.expect("the events ended");
        if job.progress == progress {
            return job;
        }
    }
}

async fn client(farm: &Farm) -> PeopleClient {
    PeopleClient::new(Transport::new(&farm.serve().await, "test").unwrap())
}

#[tokio::test]
async fn a_job_is_told_of_at_once_after_each_change_and_to_its_end() {
    let farm = Farm::new();
    let id = farm.submit(&["a.src.rpm"]).await;
    let mut events = client(&farm).await.events(id);
    assert_eq!(next(&mut events).await.unwrap().progress, Progress::Submitted);
    farm.accept();
    until(&mut events, Progress::Queued).await;
    let mut builder = farm.builder("b1");
    let keys = [builder.claim(), builder.claim()];
    until(&mut events, Progress::Running).await;

    let changed = Instant::now();
    builder.stage(&keys[0], Stage::Check);
    while !next(&mut events).await.unwrap().tasks.iter().any(|task| task.stage == Some(Stage::Check)) {}
    assert!(changed.elapsed() < Duration::from_secs(5), "told after {:?}", changed.elapsed());

    keys.iter().for_each(|key| builder.succeed(key, Vec::new()));
    until(&mut events, Progress::Succeeded).await;
    assert!(next(&mut events).await.is_none());
}

#[tokio::test]
async fn a_job_that_has_ended_is_told_of_once() {
    let farm = Farm::new();
    let id = farm.job(&["a.src.rpm"]).await;
    farm.post(&format!("/api/v1/jobs/{id}/cancel"), &()).await;
    let answer = farm.get(&format!("/api/v1/jobs/{id}/events")).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.text().matches("event: job").count(), 1);
}

#[tokio::test]
async fn nothing_is_left_of_viewers_that_went() {
    let farm = Farm::new();
    let id = farm.job(&["a.src.rpm"]).await;
    let client = client(&farm).await;
    let mut viewers: Vec<_> = (0..20).map(|_| client.events(id)).collect();
    for viewer in &mut viewers {
        next(viewer).await;
    }
    assert_eq!(farm.app.watch.watched(), 1);
    drop(viewers);
    eventually("the end of all viewers", DEADLINE, async || (farm.app.watch.watched() == 0).then_some(())).await;
}

#[tokio::test]
async fn who_watches_hears_of_changes_also_after_the_database_was_restarted() {
    let cluster = Cluster::own();
    let farm = Farm::on(cluster.database(), |_| {});
    let id = farm.submit(&["a.src.rpm"]).await;
    let mut events = client(&farm).await.events(id);
    assert_eq!(next(&mut events).await.unwrap().progress, Progress::Submitted);
    cluster.restart(Shutdown::Crash);
    farm.accept();
    until(&mut events, Progress::Queued).await;
}
