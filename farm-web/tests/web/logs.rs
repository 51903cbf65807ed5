//! A log is one stream of bytes, whether its parts are in the database or in the store.

use axum::body::Body;
use farm_types::ArtifactKind;
use futures::{Stream, StreamExt as _};
use tower::ServiceExt as _;

use crate::farm::{Farm, artifact, failed_build, gzip};

/// Reads a log that is being followed, up to a text.
async fn read_until(
    body: &mut (impl Stream<Item = Result<axum::body::Bytes, axum::Error>> + Unpin),
    end: &str,
) -> String {
    let mut text = String::new();
    let read = async {
        while !text.ends_with(end) {
            text.push_str(std::str::from_utf8(&body.next().await.expect("the log ended").unwrap()).unwrap());
        }
    };
    tokio::time::timeout(farm_testing::DEADLINE, read).await.expect("the log comes to its end");
    text
}

async fn open(farm: &Farm, path: &str) -> axum::body::BodyDataStream {
    let request = axum::http::Request::get(path).body(Body::empty()).unwrap();
    let response = farm.router.clone().oneshot(request).await.unwrap();
    assert!(response.status().is_success());
    response.into_body().into_data_stream()
}

#[tokio::test]
async fn a_log_that_is_followed_goes_on_from_the_pieces_to_the_blob_without_gap_or_repetition() {
    let farm = Farm::new();
    farm.job(&["a.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    builder.log(&key, 0, b"one\n");
    let mut log = open(&farm, &format!("/api/v1/tasks/{}/log?follow=true", key.task)).await;
    assert_eq!(read_until(&mut log, "one\n").await, "one\n");
    builder.log(&key, 4, b"two\n");
    assert_eq!(read_until(&mut log, "two\n").await, "two\n");

    // The last piece is only in the blob, and the others go in the same moment.
    let packed = gzip(b"one\ntwo\nthree\n");
    let blob = artifact(ArtifactKind::Log, "build.log", farm.blob(&packed).await, packed.len());
    builder.succeed(&key, vec![blob]);
    assert_eq!(read_until(&mut log, "three\n").await, "three\n");
    assert!(log.next().await.is_none(), "the log goes on after the end of the attempt");

    let path = format!("/api/v1/tasks/{}/log", key.task);
    assert_eq!(farm.get(&path).await.text(), "one\ntwo\nthree\n");
    for (start, expected) in [(4, "two\nthree\n"), (6, "o\nthree\n"), (14, ""), (1000, "")] {
        assert_eq!(farm.get(&format!("{path}?start={start}")).await.text(), expected, "{start}");
    }
}

#[tokio::test]
async fn a_log_without_a_blob_is_read_from_its_pieces() {
    let farm = Farm::new();
    farm.job(&["a.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    let mut all = Vec::new();
    for n in 0..200 {
        let line = format!("line {n}\n").into_bytes();
        builder.log(&key, all.len() as u64, &line);
        all.extend(line);
    }
    let path = format!("/api/v1/tasks/{}/log", key.task);
    assert_eq!(farm.get(&path).await.body, all);
    assert_eq!(farm.get(&format!("{path}?start=1003")).await.body, all[1003..]);
    builder.finish(&key, &failed_build(&["no"]));
    assert_eq!(farm.get(&format!("{path}?follow=true")).await.body, all);
}

#[tokio::test]
async fn bytes_that_are_no_text_come_through_unchanged_and_are_not_taken_for_a_page() {
    let farm = Farm::new();
    farm.job(&["a.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    let bytes = b"<script>\xff\xfe\x00\x1b[31m\n";
    builder.log(&key, 0, bytes);
    let answer = farm.get(&format!("/api/v1/tasks/{}/log", key.task)).await;
    assert_eq!(&answer.body[..], bytes);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn each_attempt_has_its_own_log() {
    let farm = Farm::new();
    farm.job(&["a.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let first = builder.claim();
    builder.log(&first, 0, b"first\n");
    builder.release(&first);
    let mut keys = [builder.claim(), builder.claim()];
    keys.sort_by_key(|key| key.task != first.task);
    builder.log(&keys[0], 0, b"second\n");
    let path = format!("/api/v1/tasks/{}/log", first.task);
    assert_eq!(farm.get(&path).await.text(), "second\n");
    assert_eq!(farm.get(&format!("{path}?attempt=1&follow=true")).await.text(), "first\n");
    assert_eq!(farm.get(&format!("{path}?attempt=3")).await.status, 404);
}

#[tokio::test]
async fn a_task_that_has_not_begun_has_an_empty_log_and_one_that_follows_it_sees_it_begin() {
    let farm = Farm::new();
    farm.job(&["a.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let task = farm.get("/api/v1/jobs/1").await.json::<farm_api::people::Job>().tasks[0].id;
    let path = format!("/api/v1/tasks/{task}/log");
    assert_eq!(farm.get(&path).await.text(), "");
    let mut log = open(&farm, &format!("{path}?follow=true")).await;
    let keys = [builder.claim(), builder.claim()];
    let key = keys.iter().find(|key| key.task == task).unwrap();
    builder.log(key, 0, b"begun\n");
    assert_eq!(read_until(&mut log, "begun\n").await, "begun\n");
}

#[tokio::test]
async fn a_page_gets_the_log_as_events_and_goes_on_where_it_was() {
    let farm = Farm::new();
    farm.job(&["a.src.rpm"]).await;
    let mut builder = farm.builder("b1");
    let key = builder.claim();
    builder.log(&key, 0, b"one\ntwo\n");
    builder.finish(&key, &failed_build(&["no"]));
    let path = format!("/api/v1/tasks/{}/log/events?follow=true", key.task);
    let all = farm.get(&path).await.text();
    assert!(all.contains("event: log\n") && all.contains(r#"data: {"text":"one\ntwo\n"}"#), "{all}");
    assert!(all.contains("id: 8\n") && all.contains("event: end\n"), "{all}");
    let rest = farm.get_with(&path, &[("last-event-id", "4")]).await.text();
    assert!(rest.contains(r#"data: {"text":"two\n"}"#), "{rest}");
}
