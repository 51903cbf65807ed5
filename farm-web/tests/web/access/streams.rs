//! What somebody watches ends when it may not be seen any more.

use axum::{
    body::{Body, BodyDataStream},
    http::{Request, StatusCode},
};
use farm_testing::DEADLINE;
use farm_types::Scope;
use futures::StreamExt as _;
use tower::ServiceExt as _;

use super::callers::Scene;

async fn open(scene: &Scene, token: &str, path: &str) -> BodyDataStream {
    let request = Request::get(path).header("authorization", token).body(Body::empty()).unwrap();
    let answer = scene.farm.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.into_body().into_data_stream()
}

/// Waits until these words have come.
async fn read_until(body: &mut BodyDataStream, words: &str) {
    let mut text = String::new();
    let read = async {
        while !text.contains(words) {
            let piece = body.next().await.unwrap_or_else(|| panic!("no “{words}” in {text}")).unwrap();
            text.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    tokio::time::timeout(DEADLINE, read).await.unwrap_or_else(|_| panic!("no “{words}” came"));
}

/// What comes until the end, which there must be.
async fn rest(body: &mut BodyDataStream) -> String {
    let mut text = String::new();
    let read = async {
        // An end in the middle is an error to whoever reads.
        while let Some(Ok(piece)) = body.next().await {
            text.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("the stream goes on");
    text
}

#[tokio::test]
async fn whoever_loses_the_right_to_see_a_job_loses_the_streams_that_are_open() {
    let scene = Scene::new().await;
    scene.farm.listen();
    let job = scene.fresh_job();
    let mut builder = scene.farm.builder("building");
    let key = builder.claim();
    let mut end = builder.log(&key, 0, b"before\n");
    let (member, owner) = (scene.token("member", &[Scope::Read]), scene.token("user", &[Scope::Read]));
    let (events, log) = (format!("/api/v1/jobs/{job}/events"), format!("/api/v1/tasks/{}/log", key.task));
    let mut lost = [
        open(&scene, &member, &events).await,
        open(&scene, &member, &format!("{log}?follow=true")).await,
        open(&scene, &member, &format!("{log}/events?follow=true")).await,
    ];
    let mut kept = open(&scene, &owner, &format!("{log}?follow=true")).await;
    for (body, words) in lost.iter_mut().zip(["event: job", "before", "before"]) {
        read_until(body, words).await;
    }
    read_until(&mut kept, "before").await;

    scene.blind_members();
    // Said before the streams look again, so that there is something to hide from them.
    end = builder.log(&key, end, b"after\n");
    for body in &mut lost {
        let said = rest(body).await;
        assert!(!said.contains("after"), "{said}");
    }
    read_until(&mut kept, "after").await;
    builder.log(&key, end, b"later\n");
    read_until(&mut kept, "later").await;
}
