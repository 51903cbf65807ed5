//! The chores, each on a real database and a real store.

use std::{
    io::{Read as _, Write as _},
    time::{Duration, Instant},
};

use bytes::Bytes;
use farm_daemon::CancellationToken;
use farm_db::{
    blobs, queue,
    read::{self},
    testing,
};
use farm_janitor::chores::{Report, reap, seal_logs, uploads};
use farm_testing::eventually;
use farm_types::{Outcome, TaskState};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use crate::support::Farm;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_task_of_a_silent_builder_goes_back_to_the_queue() {
    let mut farm = Farm::new();
    let (builder, key) = farm.leased();
    assert_eq!(reap::run_once(farm.tools.clone()).await.unwrap(), Report::default(), "the lease has not run out");

    farm.pass("UPDATE farm.lease SET expires_at = now() - interval '6 seconds'");
    assert_eq!(reap::run_once(farm.tools.clone()).await.unwrap(), Report::done(1));
    let task = read::task(&mut farm.conn, farm_db::Viewer::ANYBODY, key.task).unwrap();
    assert_eq!(task.state, TaskState::Pending);
    assert_eq!(task.attempts[0].outcome, Some(Outcome::Lost));
    assert!(builder.finish(&mut farm.conn, &key, Outcome::Succeeded).is_err(), "a late result was taken");
}

#[tokio::test]
async fn when_the_janitor_comes_up_builders_have_time_to_renew_what_ran_out() {
    let mut farm = Farm::new();
    farm.tools.config.settle_seconds = 2;
    let (_builder, key) = farm.leased();
    farm.pass("UPDATE farm.lease SET expires_at = now() - interval '1 hour'");
    let (began, shutdown) = (Instant::now(), CancellationToken::new());
    let janitor = tokio::spawn(farm_janitor::run(farm.tools.config.clone(), shutdown.clone()));
    eventually("the end of the lease", Duration::from_secs(60), async || {
        let task = read::task(&mut farm.db.connect(), farm_db::Viewer::ANYBODY, key.task).ok()?;
        (task.state == TaskState::Pending).then_some(())
    })
    .await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    shutdown.cancel();
    janitor.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_log_of_a_lost_attempt_becomes_a_blob_of_all_that_had_arrived() {
    let mut farm = Farm::new();
    let (builder, key) = farm.leased();
    let pieces: [&[u8]; 3] = [b"one\n", b"two\n", b"and a third that is longer\n"];
    let mut start = 0;
    for piece in pieces {
        let length = u32::try_from(piece.len()).unwrap();
        start = queue::append_log(&mut farm.conn, builder.id, &key, start, length, &gzip(piece)).unwrap();
    }
    farm.pass("UPDATE farm.lease SET expires_at = now() - interval '1 hour'");
    reap::run_once(farm.tools.clone()).await.unwrap();
    farm.pass("UPDATE farm.attempt SET finished_at = now() - interval '2 minutes'");

    assert_eq!(seal_logs::run_once(farm.tools.clone()).await.unwrap().done, 1);
    assert_eq!(seal_logs::run_once(farm.tools.clone()).await.unwrap().done, 0, "it was sealed before");
    let place =
        read::log_place(&mut farm.conn, farm_db::Viewer::ANYBODY, key.task, Some(key.attempt)).unwrap().unwrap();
    assert!(
        read::log_chunks(&mut farm.conn, key.task, key.attempt, 0).unwrap().is_empty(),
        "the pieces are still there"
    );
    let blob = farm.tools.store.get(&place.blob.unwrap()).await.unwrap().bytes(1 << 20).await.unwrap();
    let mut text = String::new();
    MultiGzDecoder::new(&blob[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text.as_bytes(), pieces.concat());
    assert_eq!(farm_db::invariants::check(&mut farm.conn).unwrap(), [""; 0], "the farm is not sound afterwards");
}

#[tokio::test]
async fn the_log_of_a_running_attempt_is_left_alone() {
    let mut farm = Farm::new();
    let (builder, key) = farm.leased();
    queue::append_log(&mut farm.conn, builder.id, &key, 0, 4, &gzip(b"one\n")).unwrap();
    assert_eq!(seal_logs::run_once(farm.tools.clone()).await.unwrap().done, 0);
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_is_forgotten_and_its_bytes_too() {
    let mut farm = Farm::new();
    let stale = blobs::begin_upload(&mut farm.conn, &testing::person("alice"), &testing::digest(), 100).unwrap();
    let fresh = blobs::begin_upload(&mut farm.conn, &testing::person("alice"), &testing::digest(), 100).unwrap();
    for upload in [&stale, &fresh] {
        let mut staged = farm.tools.store.stage(*upload).await.unwrap();
        staged.append(Bytes::from_static(b"some")).await.unwrap();
        staged.flush().await.unwrap();
    }
    farm.pass(&format!("UPDATE farm.upload SET touched_at = now() - interval '2 hours' WHERE id = '{}'", stale));

    assert_eq!(uploads::run_once(farm.tools.clone()).await.unwrap().done, 1);
    assert_eq!(farm.tools.store.staged_len(stale).await.unwrap(), None);
    assert_eq!(farm.tools.store.staged_len(fresh).await.unwrap(), Some(4));
    assert!(blobs::find_upload(&mut farm.conn, "alice", stale).is_err());
    assert!(blobs::find_upload(&mut farm.conn, "alice", fresh).is_ok());
}
