//! Who may call what of the hub: every route, by everybody there is. `table.txt` says what each is answered.
//!
//! `live` is a builder that holds the lease which a line is about, and `login` the same builder with a token that it got for its
//! ticket. The lease of `dead` was reaped. Everybody else comes with the lease of `live`, as if it had been overheard: `idle`, a
//! builder that holds nothing; `expired`, with a token that `live` got for an earlier ticket; `revoked`, with a token of `live` that
//! an operator has replaced; a person and an administrator who logged in; a person's tokens for scripts, one for each scope; and
//! anybody at all.

mod callers;
mod requests;

use std::collections::BTreeSet;

use farm_api::hub::Renewed;
use reqwest::{Response, StatusCode};

use self::callers::{CALLERS, Scene};

const TABLE: &str = include_str!("table.txt");

/// A line of the table: a route, and what each caller is answered.
struct Line {
    method: &'static str,
    /// With `#` and a word behind it where there is more than one request of that route to try.
    route: &'static str,
    answers: Vec<&'static str>,
}

fn lines() -> Vec<Line> {
    let mut lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names: Vec<_> = lines.next().unwrap().split_whitespace().skip(2).collect();
    assert_eq!(names, CALLERS, "the head of the table");
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (method, route) = (words.next().unwrap(), words.next().unwrap());
            Line { method, route, answers: words.collect() }
        })
        .collect()
}

/// What came of a request, in the table's words.
async fn word(answer: Response) -> String {
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    let says = |words: &str| text.contains(words);
    match status {
        status if status.is_success() => match serde_json::from_str::<Renewed>(&text) {
            Ok(renewed) if !renewed.gone.is_empty() => "gone".to_owned(),
            _ => "ok".to_owned(),
        },
        StatusCode::UNAUTHORIZED if says("this hub takes no tickets") => "ticket".to_owned(),
        StatusCode::UNAUTHORIZED => "who".to_owned(),
        StatusCode::GONE if says("is not yours any more") => "lost".to_owned(),
        StatusCode::NOT_FOUND if says("is built like no other") || says("made the package") => "none".to_owned(),
        StatusCode::FORBIDDEN if says("this token belongs to builder") => "other".to_owned(),
        StatusCode::FORBIDDEN if says("may not install from the bucket") => "shut".to_owned(),
        StatusCode::BAD_REQUEST if says("the header Farm-Lease is missing") => "bare".to_owned(),
        status => format!("{status} {text}"),
    }
}

#[tokio::test]
async fn every_route_answers_everybody_as_the_table_says() {
    let scene = Scene::new().await;
    let mut wrong = Vec::new();
    for line in lines() {
        assert_eq!(line.answers.len(), CALLERS.len(), "{} {}", line.method, line.route);
        for (caller, expected) in CALLERS.iter().zip(&line.answers) {
            let held = scene.held_by_live().await;
            let answer = scene.request(caller, line.method, line.route, &held).send().await.unwrap();
            let found = word(answer).await;
            if found != *expected {
                wrong.push(format!("{} {} as {caller}: {found}, and not {expected}", line.method, line.route));
            }
            scene.assert_untouched_unless(&["live", "login"], caller, &held);
            scene.end(&held);
        }
    }
    assert!(wrong.is_empty(), "{} answers are not as the table says:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_route_there_is_stands_in_the_table_and_no_other() {
    let routes: BTreeSet<_> = farm_hub::routes().map(|(method, path)| format!("{method} {path}")).collect();
    let route = |line: &Line| format!("{} {}", line.method, line.route.split('#').next().unwrap());
    let tried: BTreeSet<_> = lines().iter().map(route).collect();
    assert_eq!(routes.difference(&tried).collect::<Vec<_>>(), Vec::<&String>::new(), "routes that nobody tries");
    assert_eq!(tried.difference(&routes).collect::<Vec<_>>(), Vec::<&String>::new(), "lines without a route");
}
