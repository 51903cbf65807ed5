//! Who may do what: every route and form, by everybody there is. `table.txt` says what each is answered.
//!
//! There is a bucket that is not public, with a job of `user` in it. `member` is in a group that may submit to the bucket and see
//! it, `owner` owns it, `admin` may do everything, `other` nothing in particular. Builders (one whose lease lives, one whose lease
//! is gone, one that never had any) have tokens that are good for the hub alone. The last four are tokens of `user`, each good for
//! one thing. Forms are sent by browsers with a session, API calls by tools with a token.

mod callers;
mod requests;
mod streams;
mod tokens;

use std::collections::BTreeSet;

use axum::http::StatusCode;

use self::{
    callers::{CALLERS, Caller, Scene},
    requests::request,
};
use crate::farm::Answer;

const TABLE: &str = include_str!("table.txt");

/// A line of the table: a route, and what each caller is answered.
struct Line {
    method: &'static str,
    path: &'static str,
    answers: Vec<&'static str>,
}

fn lines() -> Vec<Line> {
    let mut lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names: Vec<_> = lines.next().unwrap().split_whitespace().skip(2).collect();
    assert_eq!(names, CALLERS.map(|caller| caller.name), "the head of the table");
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            Line { method, path, answers: words.collect() }
        })
        .collect()
}

/// What came of a request, in the table's words.
fn word(answer: &Answer) -> String {
    let text = answer.text().to_lowercase();
    let says = |words: &str| text.contains(words);
    match answer.status {
        status if status.is_success() => "ok".to_owned(),
        StatusCode::SEE_OTHER if answer.header("location").starts_with("/login") => "login".to_owned(),
        StatusCode::SEE_OTHER => "ok".to_owned(),
        StatusCode::UNAUTHORIZED if answer.header("www-authenticate").starts_with("Basic") => "password".to_owned(),
        StatusCode::UNAUTHORIZED => "who".to_owned(),
        StatusCode::NOT_FOUND => "hidden".to_owned(),
        StatusCode::FORBIDDEN if says("it takes the scope") => "scope".to_owned(),
        StatusCode::FORBIDDEN if says("it takes the right") => "right".to_owned(),
        StatusCode::FORBIDDEN if says("is not yours") => "yours".to_owned(),
        StatusCode::FORBIDDEN if says("forms are for browsers") => "form".to_owned(),
        StatusCode::FORBIDDEN if says("a token is given for a kerberos ticket") => "ticket".to_owned(),
        StatusCode::FORBIDDEN if says("a token cannot make tokens") => "token".to_owned(),
        StatusCode::CONFLICT if says("there is no session to end") => "none".to_owned(),
        status => {
            let said = text.split("<h1>").nth(1).unwrap_or(&text);
            format!("{} {}", status.as_u16(), said.split("</h1>").next().unwrap_or(said))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_everybody_as_the_table_says() {
    let scene = Scene::new().await;
    let mut wrong = Vec::new();
    for line in lines() {
        assert_eq!(line.answers.len(), CALLERS.len(), "{} {}", line.method, line.path);
        for (caller, expected) in CALLERS.iter().zip(&line.answers) {
            let answer = scene.farm.send(request(&scene, caller, line.method, line.path).await).await;
            let found = word(&answer);
            if found != *expected {
                wrong.push(format!("{} {} as {}: {found}, and not {expected}", line.method, line.path, caller.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers are not as the table says:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_route_there_is_stands_in_the_table_and_no_other() {
    let key = |method: &str, path: &str| format!("{method} {path}");
    let routes: BTreeSet<_> = farm_web::ROUTES.iter().map(|(method, path, _)| key(method.as_str(), path)).collect();
    // A line may say `#public` behind its path for another object of the same route.
    let tried: BTreeSet<_> = lines().iter().map(|l| key(l.method, l.path.split('#').next().unwrap())).collect();
    assert_eq!(routes.difference(&tried).collect::<Vec<_>>(), Vec::<&String>::new(), "routes that nobody tries");
    assert_eq!(tried.difference(&routes).collect::<Vec<_>>(), Vec::<&String>::new(), "lines without a route");
}

/// What the router has and the table of who may call what lacks is refused to everybody, so this cannot be forgotten.
#[tokio::test]
async fn every_documented_call_stands_in_the_table_of_routes() {
    let scene = Scene::new().await;
    let document: serde_json::Value = scene.farm.get("/api/v1/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let found = farm_web::ROUTES.iter().any(|(m, p, _)| m.as_str().eq_ignore_ascii_case(method) && p == path);
            assert!(found, "{method} {path} is in no line of farm_web::ROUTES");
        }
    }
}

#[tokio::test]
async fn a_form_without_what_only_our_pages_know_is_refused() {
    let scene = Scene::new().await;
    let job = scene.fresh_job();
    let session = scene.session("admin");
    for (body, expected) in [("", 403), ("csrf=", 403), ("csrf=0123456789abcdef0123456789abcdef", 403)] {
        let answer = scene.farm.send(session.form(&format!("/jobs/{job}/cancel"), body)).await;
        assert_eq!(answer.status.as_u16(), expected, "{body}: {}", answer.text());
    }
    let other = scene.session("admin");
    let answer = scene.farm.send(session.form(&format!("/jobs/{job}/cancel"), &format!("csrf={}", other.csrf))).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "another session's secret was taken");
    let answer = scene.farm.send(session.form(&format!("/jobs/{job}/cancel"), &format!("csrf={}", session.csrf))).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing_through_the_api() {
    let scene = Scene::new().await;
    let (job, session) = (scene.fresh_job(), scene.session("admin"));
    let path = format!("/api/v1/jobs/{job}/cancel");
    let refused = scene.farm.send(session.call("POST", &path, None)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    let done = scene.farm.send(session.call("POST", &path, Some(&session.csrf))).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
}

#[tokio::test]
async fn whoever_is_shut_out_is_out_at_once_with_every_token() {
    let scene = Scene::new().await;
    let caller = CALLERS.iter().find(|caller| caller.name == "user").unwrap();
    let whoami = || async { scene.farm.send(request(&scene, caller, "GET", "/api/v1/whoami").await).await.status };
    assert_eq!(whoami().await, StatusCode::OK);
    scene.shut_out("user");
    assert_eq!(whoami().await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_site_may_show_nothing_to_strangers() {
    let scene = Scene::with(|config| config.require_login = true).await;
    let stranger: &Caller = &CALLERS[0];
    for (path, expected) in
        [("/", "login"), ("/jobs", "login"), ("/api/v1/jobs", "who"), ("/api/v1/queue", "who"), ("/login", "ok")]
    {
        let answer = scene.farm.send(request(&scene, stranger, "GET", path).await).await;
        assert_eq!(word(&answer), expected, "{path}");
    }
}
