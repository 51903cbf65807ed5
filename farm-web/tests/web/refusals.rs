//! What cannot be had is refused in the farm's own form: JSON for programs, pages for people.

use std::collections::HashSet;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use farm_api::error::ErrorCode;
use farm_testing::TestDb;

use crate::farm::Farm;

#[tokio::test]
async fn every_refusal_of_the_api_is_json_with_a_sentence() {
    let farm = Farm::new();
    for (path, status, code, words) in [
        ("/api/v1/nothing", 404, ErrorCode::NotFound, "/api/v1/nothing"),
        ("/api/v2/jobs", 404, ErrorCode::NotFound, "there is nothing"),
        ("/api/v1/jobs/999", 404, ErrorCode::NotFound, "no job 999"),
        ("/api/v1/jobs/999/events", 404, ErrorCode::NotFound, "no job 999"),
        ("/api/v1/jobs/abc", 400, ErrorCode::BadRequest, "“abc” is no job number"),
        ("/api/v1/jobs/-1", 400, ErrorCode::BadRequest, "no job number"),
        ("/api/v1/jobs/%ff", 400, ErrorCode::BadRequest, ""),
        ("/api/v1/jobs?progress=nice", 400, ErrorCode::BadRequest, "progress"),
        ("/api/v1/jobs?colour=blue", 400, ErrorCode::BadRequest, "colour"),
        ("/api/v1/jobs?person=%00", 400, ErrorCode::BadRequest, "zero byte"),
        ("/api/v1/tasks/999", 404, ErrorCode::NotFound, "no task 999"),
        ("/api/v1/tasks/999/log", 404, ErrorCode::NotFound, "no task 999"),
        ("/api/v1/tasks/999/log?attempt=3", 404, ErrorCode::NotFound, "no attempt 3"),
        ("/api/v1/tasks/1/log?start=-1", 400, ErrorCode::BadRequest, "start"),
        ("/api/v1/uploads/not-a-uuid", 400, ErrorCode::BadRequest, ""),
        ("/api/v1/uploads/00000000-0000-0000-0000-000000000000", 404, ErrorCode::NotFound, "ask for a new one"),
        ("/artifacts/999/x.rpm", 404, ErrorCode::NotFound, "no artifact 999"),
        ("/artifacts/x/x.rpm", 400, ErrorCode::BadRequest, "no artifact number"),
    ] {
        let answer = farm.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let body = answer.refusal();
        assert_eq!(body.code, code, "{path}");
        assert!(!body.message.is_empty() && body.message.contains(words), "{path}: {}", body.message);
    }
}

#[tokio::test]
async fn a_wrong_method_is_refused_with_the_right_ones() {
    let farm = Farm::new();
    let answer = farm.send(Request::delete("/api/v1/jobs/1").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("allow"), "GET,HEAD");
    assert!(answer.refusal().message.contains("DELETE"));
}

#[tokio::test]
async fn json_that_cannot_be_read_is_refused_with_the_place() {
    let farm = Farm::new();
    for (content_type, body, words) in [
        ("application/json", "{", "EOF"),
        ("application/json", r#"{"key":"a b","sources":[]}"#, "no job id"),
        ("application/json", r#"{"key":"a","sources":[],"tragets":[]}"#, "unknown field `tragets`"),
        ("application/json", r#"{"key":"a","sources":[{"name":"x","digest":"zz"}]}"#, "no SHA-256 digest"),
        ("text/plain", "{}", "Content-Type"),
    ] {
        let request = Request::post("/api/v1/jobs").header("content-type", content_type).body(body.into()).unwrap();
        let answer = farm.send(request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer.refusal().message.contains(words), "{body}: {}", answer.text());
    }
}

#[tokio::test]
async fn without_a_database_the_farm_says_come_again_and_keeps_the_details_to_itself() {
    let farm = Farm::with(|config| config.database = "host=/nonexistent dbname=secret".to_owned());
    let answer = farm.get("/api/v1/queue").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.header("retry-after").is_empty());
    assert!(!answer.text().contains("nonexistent"), "{}", answer.text());
    let ready = farm.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(farm.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_mistake_of_ours_is_answered_with_a_number() {
    let empty = TestDb::empty();
    let farm = Farm::with(|config| config.database = empty.url());
    let answer = farm.get("/api/v1/queue").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let message = answer.refusal().message;
    assert!(message.contains("under the number") && !message.contains("relation"), "{message}");
}

#[tokio::test]
async fn a_farm_with_database_and_store_is_ready() {
    let farm = Farm::new();
    let answer = farm.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

#[tokio::test]
async fn other_sites_cannot_act_in_our_name() {
    let farm = Farm::new();
    let job = farm.job(&["a.src.rpm"]).await;
    let request = Request::builder().method(Method::POST).uri(format!("/api/v1/jobs/{job}/cancel"));
    let answer = farm.send(request.header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.refusal().code, ErrorCode::Forbidden);
    let answer = farm.get_with("/api/v1/jobs", &[("host", "evil.example")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_call_of_the_api_is_documented() {
    let farm = Farm::new();
    let document: serde_json::Value = farm.get("/api/v1/openapi.json").await.json();
    let (mut calls, mut ids) = (Vec::new(), HashSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            calls.push(format!("{} {path}", method.to_uppercase()));
            assert!(operation["responses"]["default"].is_object(), "{path} does not say how it refuses");
            assert!(operation["summary"].is_string(), "{path} does not say what it does");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is the name of two calls");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].is_string(), "{method} {path} does not describe its {status}");
            }
        }
    }
    // The table of the types' documentation is what was agreed upon; what the router knows is what there is.
    let table = include_str!("../../../farm-api/src/people.rs");
    let agreed = table.lines().filter_map(|line| line.strip_prefix("//! | `")).map(|line| {
        let call = line.split('`').next().unwrap();
        call.split('?').next().unwrap().to_owned()
    });
    for call in agreed {
        assert!(calls.contains(&call), "{call} is not in {calls:#?}");
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is referred to and not there");
    }
}

#[tokio::test]
async fn whoever_comes_through_a_proxy_is_not_the_person_on_this_machine() {
    let farm = Farm::new();
    assert_eq!(farm.get("/api/v1/whoami").await.status, StatusCode::OK);
    for header in [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.7")] {
        let answer = farm.get_with("/api/v1/whoami", &[header]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{header:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_person_on_this_machine_and_a_proxy_do_not_go_together() {
    use farm_daemon::Config as _;
    let problems = |behind_proxy: bool| {
        let mut problems = Vec::new();
        Farm::with(|config| {
            let mut config = config.clone();
            config.http.behind_proxy = behind_proxy;
            problems = config.validate();
        });
        problems
    };
    assert_eq!(problems(false), Vec::<String>::new());
    assert!(problems(true).join("; ").contains("leave one of the two out"), "{:?}", problems(true));
}

#[tokio::test]
async fn a_picture_on_another_site_does_not_log_anybody_in() {
    let farm = Farm::new();
    let picture = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let answer = farm.get_with("/login", &picture).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("go to the farm"), "{}", answer.text());
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(farm.get_with("/login", &link).await.status, StatusCode::SEE_OTHER);
}
