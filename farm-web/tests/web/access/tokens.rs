//! Tokens that are good for some things only.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use farm_api::people::{Bucket, Job};
use farm_db::{operator, testing};
use farm_types::{JobId, Scope};
use serde_json::json;

use super::callers::Scene;
use crate::farm::Answer;

async fn post(scene: &Scene, token: &str, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header("authorization", token).header("content-type", "application/json");
    scene.farm.send(request.body(body.into()).unwrap()).await
}

async fn change(scene: &Scene, token: &str, job: JobId, what: &str) -> Answer {
    post(scene, token, &format!("/api/v1/jobs/{job}/{what}"), Body::empty()).await
}

#[tokio::test]
async fn a_token_for_cancelling_is_for_the_own_jobs_also_when_its_person_may_change_others() {
    let scene = Scene::new().await;
    for person in ["admin", "owner"] {
        let narrow = scene.token(person, &[Scope::Read, Scope::Cancel]);
        let job = scene.fresh_job();
        for what in ["cancel", "retry"] {
            let refused = change(&scene, &narrow, job, what).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{person} {what}: {}", refused.text());
            let message = refused.refusal().message;
            assert!(message.contains("for your own jobs") && message.contains("the scope “admin”"), "{message}");
        }
        let wide = scene.token(person, &[Scope::Cancel, Scope::Admin]);
        assert_eq!(change(&scene, &wide, job, "cancel").await.status, StatusCode::OK, "{person}");
    }
    let own = change(&scene, &scene.token("user", &[Scope::Cancel]), scene.fresh_job(), "cancel").await;
    assert_eq!(own.status, StatusCode::OK, "{}", own.text());
}

#[tokio::test]
async fn a_session_that_was_begun_with_such_a_token_reaches_no_further() {
    let scene = Scene::new().await;
    let token = scene.token("admin", &[Scope::Cancel]);
    let form = format!("token={}", token.strip_prefix("Bearer ").unwrap());
    let request = Request::post("/login").header("content-type", "application/x-www-form-urlencoded");
    let login = scene.farm.send(request.body(form.into()).unwrap()).await;
    assert_eq!(login.status, StatusCode::SEE_OTHER, "{}", login.text());
    let cookie = login.header("set-cookie").split(';').next().unwrap();
    let session = scene.session_of(cookie);
    let job = scene.fresh_job();
    let path = format!("/api/v1/jobs/{job}/cancel");
    let refused = scene.farm.send(session.call("POST", &path, Some(&session.csrf))).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    assert!(refused.text().contains("for your own jobs"), "{}", refused.text());
}

#[tokio::test]
async fn a_token_that_is_not_for_reading_learns_nothing_of_a_job_by_changing_it() {
    let scene = Scene::new().await;
    let (blind, seeing) =
        (scene.token("user", &[Scope::Submit, Scope::Cancel]), scene.token("user", &[Scope::Read, Scope::Cancel]));
    let job = scene.fresh_job();
    for what in ["cancel", "retry"] {
        let told: Job = change(&scene, &blind, job, what).await.json();
        assert_eq!((told.id, &*told.person, told.bucket.as_str()), (job, "user", "private"), "{what}");
        assert!(told.sources.is_empty() && told.tasks.is_empty(), "{what}: {told:?}");
    }
    let told: Job = change(&scene, &seeing, job, "cancel").await.json();
    assert!(!told.sources.is_empty() && !told.tasks.is_empty(), "{told:?}");

    for (bucket, shown) in [("private", 0), ("scratch", 1)] {
        let digest = testing::digest();
        testing::brought(&mut scene.farm.connect(), "user", &digest, 1);
        let source = json!({ "name": "a.src.rpm", "digest": digest });
        let new = json!({ "key": uuid::Uuid::new_v4(), "bucket": bucket, "sources": [source] });
        let answer = post(&scene, &blind, "/api/v1/jobs", new.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        assert_eq!(answer.json::<Job>().sources.len(), shown, "{bucket}");
    }
}

#[tokio::test]
async fn of_buckets_that_somebody_does_not_see_not_even_the_name_is_shown() {
    let scene = Scene::new().await;
    let names = async |token: Option<String>| {
        let request = Request::get("/api/v1/buckets");
        let request = token.into_iter().fold(request, |request, token| request.header("authorization", token));
        let answer = scene.farm.send(request.body(Body::empty()).unwrap()).await;
        answer.json::<Vec<Bucket>>().into_iter().map(|bucket| bucket.name.to_string()).collect::<Vec<_>>()
    };
    let sees_it = |names: Vec<String>| {
        assert!(names.contains(&"scratch".to_owned()), "{names:?}");
        names.contains(&"private".to_owned())
    };
    assert!(!sees_it(names(None).await));
    assert!(!sees_it(names(Some(scene.token("other", &[Scope::Read]))).await));
    assert!(!sees_it(names(Some(scene.token("member", &[Scope::Submit]))).await));
    assert!(sees_it(names(Some(scene.token("member", &[Scope::Read]))).await));
    let all = operator::buckets(&mut scene.farm.connect()).unwrap();
    assert!(all.iter().any(|bucket| bucket.name.as_str() == "private"));
}
