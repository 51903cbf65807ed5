//! Tokens for scripts, and what becomes of refusals.

use farm_api::{
    access::MadeToken,
    error::{ErrorBody, ErrorCode},
};
use farm_types::Scope;
use serde_json::json;

use super::{
    program, run,
    server::{Farm, Mischief, SECRET, Server, refusal},
    submit::{building, package},
    things::token,
};

fn farm() -> Server {
    Server::start(Farm { tokens: vec![token(7, Some("nightly")), token(12, None)], ..Farm::default() })
}

#[test]
fn a_new_token_is_alone_on_stdout_so_that_it_goes_into_a_file() {
    let server = farm();
    let ran = run(program("farm", &server.url).args(["token", "create", "ci"])).ended(0);
    assert_eq!(ran.stdout, format!("{SECRET}\n"));
    assert!(
        ran.stderr.starts_with("Token 13 is good for read, submit, for 90 days. It is never shown again"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains(SECRET));
    let asked = server.farm().asked_tokens.pop().unwrap();
    assert_eq!((asked.name.as_str(), asked.days), ("ci", Some(90)));
    assert_eq!(asked.scopes, [Scope::Read, Scope::Submit]);

    let more = ["token", "create", "cleaner", "--scopes", "read,cancel", "--days", "7", "--json"];
    let ran = run(program("farm", &server.url).args(more)).ended(0);
    let made: MadeToken = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((made.id, made.token.as_str()), (14, SECRET));
    let asked = server.farm().asked_tokens.pop().unwrap();
    assert_eq!((asked.days, asked.scopes), (Some(7), vec![Scope::Read, Scope::Cancel]));
}

#[test]
fn a_token_is_revoked_by_its_name_or_its_number() {
    let server = farm();
    let ran = run(program("farm", &server.url).args(["token", "revoke", "nightly"])).ended(0);
    assert_eq!(ran.stdout, "Revoked token “nightly”, number 7\n");
    let ran = run(program("farm", &server.url).args(["token", "revoke", "12"])).ended(0);
    assert_eq!(ran.stdout, "Revoked a session, number 12\n");
    assert_eq!(server.farm().tokens, []);
    let ran = run(program("farm", &server.url).args(["token", "list"])).ended(0);
    assert_eq!(ran.stdout, "No tokens: `farm token create NAME` makes one.\n");
}

#[test]
fn a_token_that_one_does_not_have_is_refused_with_3() {
    let server = farm();
    let ran = run(program("farm", &server.url).args(["token", "revoke", "weekly"])).ended(3);
    assert_eq!(ran.stderr, "farm: you have no token “weekly”; `farm token list` shows those that you have\n");
    // The server knows tokens that are not in one's own list.
    let ran = run(program("farm", &server.url).args(["token", "revoke", "99"])).ended(3);
    assert_eq!((ran.stderr.as_str(), server.count("DELETE /api/v1/tokens/99")), ("farm: you have no token 99\n", 1));
}

#[test]
fn a_number_that_is_also_a_name_revokes_nothing() {
    let server = farm();
    server.farm().tokens.push(token(20, Some("7")));
    let ran = run(program("farm", &server.url).args(["token", "revoke", "7"])).ended(2);
    assert!(
        ran.stderr.contains("“7” may mean two: number 7 is token “nightly”, number 20 is token “7”"),
        "{}",
        ran.stderr
    );
    assert_eq!(server.count("DELETE"), 0);
}

#[test]
fn what_a_token_cannot_be_is_told_before_or_by_the_server() {
    let server = farm();
    for wrong in [&["--scopes", "write"][..], &["--days", "0"], &["--days", "367"]] {
        run(program("farm", &server.url).args(["token", "create", "ci"]).args(wrong)).ended(2);
    }
    assert_eq!(server.count("POST"), 0);
    let reasons = json!([{ "code": "token_name", "message": "“_ci” is no name for a token" }]);
    let body = refusal(ErrorCode::Refused, "the farm refuses that", reasons);
    server.farm().mischief.push(("POST /api/v1/tokens", Mischief::Refuse(body)));
    let ran = run(program("farm", &server.url).args(["token", "create", "_ci"])).ended(3);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("", "farm: the farm refuses that\n  - “_ci” is no name for a token\n")
    );
}

#[test]
fn who_may_not_ends_with_5_and_who_is_at_a_limit_with_3() {
    let server = farm();
    let message = "your token is not good for that: it takes the scope “admin”, and has read, submit";
    let body = ErrorBody::new(ErrorCode::Forbidden, message);
    server.farm().mischief.push(("POST /api/v1/tokens", Mischief::Refuse(body)));
    let ran = run(program("farm", &server.url).args(["token", "create", "ci"])).ended(5);
    assert_eq!(ran.stderr, format!("farm: {message}\n"));
    let body = ErrorBody::new(ErrorCode::Unauthenticated, "say who you are");
    server.farm().mischief.push(("GET /api/v1/whoami", Mischief::Refuse(body)));
    run(program("farm", &server.url).arg("whoami")).ended(5);

    let server = building();
    let (_folder, path) = package(b"x.src.rpm", 10);
    let message = "this is more than you may use at once (jobs_waiting: 11 of at most 10); wait for jobs to end";
    let body = ErrorBody::new(ErrorCode::LimitReached, message);
    server.farm().mischief.push(("POST /api/v1/jobs", Mischief::Refuse(body)));
    let ran = run(program("farm-submit", &server.url).arg(&path)).ended(3);
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
}
