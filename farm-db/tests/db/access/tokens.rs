//! How long a token is good.

use diesel::PgConnection;
use farm_db::{
    DbError,
    access::{self, NewToken},
    operator, testing,
};
use farm_types::{Digest, Scope, TokenKind};

use super::{grant, let_in};
use crate::support::{database, execute, text};

const ALICE: &str = "alice";

fn make(conn: &mut PgConnection, name: &str) -> (i64, Digest) {
    let digest = testing::digest();
    let new = NewToken { person: ALICE, digest: &digest, name, scopes: &[Scope::Read], days: 1 };
    (access::make_token(conn, &testing::person(ALICE), &new).unwrap(), digest)
}

fn log_in(conn: &mut PgConnection, kind: TokenKind) -> Result<Digest, DbError> {
    let digest = testing::digest();
    testing::log_in(conn, &testing::person(ALICE), &digest, kind).map(|_| digest)
}

fn is_good(conn: &mut PgConnection, token: &Digest) -> bool {
    access::caller_by_token(conn, token).unwrap().is_some_and(|bearer| bearer.known.principal == ALICE)
}

#[test]
fn a_person_who_is_shut_out_comes_in_no_way() {
    let (_db, mut conn) = database();
    let tokens = [
        make(&mut conn, "script").1,
        log_in(&mut conn, TokenKind::Login).unwrap(),
        log_in(&mut conn, TokenKind::Session).unwrap(),
    ];
    assert!(tokens.iter().all(|token| is_good(&mut conn, token)));
    let_in(&mut conn, ALICE, false);
    assert!(!tokens.iter().any(|token| is_good(&mut conn, token)));
    let shut_out =
        |error: &DbError| matches!(error, DbError::Forbidden(why) if why == "alice was shut out by an administrator");
    assert!(shut_out(&access::caller_by_principal(&mut conn, ALICE).unwrap_err()));
    for kind in [TokenKind::Login, TokenKind::Session] {
        assert!(shut_out(&log_in(&mut conn, kind).unwrap_err()));
    }
    let digest = testing::digest();
    let new = NewToken { person: ALICE, digest: &digest, name: "another", scopes: &[Scope::Read], days: 1 };
    for actor in [testing::person(ALICE), testing::operator()] {
        assert!(shut_out(&access::make_token(&mut conn, &actor, &new).unwrap_err()), "{actor:?}");
    }
}

#[test]
fn tokens_and_sessions_end_by_themselves_and_are_forgotten() {
    let (_db, mut conn) = database();
    let tokens = [
        make(&mut conn, "script").1,
        log_in(&mut conn, TokenKind::Login).unwrap(),
        log_in(&mut conn, TokenKind::Session).unwrap(),
    ];
    let kept = make(&mut conn, "kept").1;
    let age = |conn: &mut PgConnection, by: &str| {
        execute(
            conn,
            &format!(
                "UPDATE farm.token SET expires_at = expires_at - interval '{by}' WHERE coalesce(name, '') <> 'kept'"
            ),
        )
    };
    assert_eq!(age(&mut conn, "1 day"), 3);
    assert!(!tokens.iter().any(|token| is_good(&mut conn, token)));
    let names = access::tokens(&mut conn, Some(ALICE)).unwrap();
    assert_eq!(names.iter().map(|token| token.name.as_deref()).collect::<Vec<_>>(), [Some("kept")]);
    make(&mut conn, "script");
    assert_eq!(age(&mut conn, "2 days"), 3, "the name of one that is not good any more is free");
    assert_eq!(access::forget_tokens(&mut conn).unwrap(), 3);
    assert!(is_good(&mut conn, &kept));
}

#[test]
fn a_builders_token_for_its_ticket_ends_by_itself_and_the_one_on_its_host_does_not() {
    let (_db, mut conn) = database();
    let (principal, host, login) = ("builder/one@X", testing::digest(), testing::digest());
    let new = operator::NewBuilder { token: Some(host), principal: Some(principal), platforms: None };
    operator::put_builder(&mut conn, &testing::operator(), &"one".parse().unwrap(), &new).unwrap();
    operator::builder_log_in(&mut conn, principal, "192.0.2.7", &login, 600).unwrap();
    let comes = |conn: &mut PgConnection, token| operator::builder_by_token(conn, token).unwrap().is_some();
    assert!(comes(&mut conn, &host) && comes(&mut conn, &login));
    assert!(access::caller_by_token(&mut conn, &login).unwrap().is_none(), "a builder is no person");
    execute(&mut conn, "UPDATE farm.token SET expires_at = now()");
    assert!(comes(&mut conn, &host) && !comes(&mut conn, &login));
    let refused = operator::builder_log_in(&mut conn, "builder/two@X", "192.0.2.7", &testing::digest(), 600);
    assert!(matches!(refused, Err(DbError::Forbidden(_))));
    assert!(matches!(access::caller_by_principal(&mut conn, principal), Err(DbError::Forbidden(_))));
}

#[test]
fn somebody_elses_token_is_none_that_one_could_revoke() {
    let (_db, mut conn) = database();
    let (id, token) = make(&mut conn, "script");
    let (mallory, admin) = (testing::person("mallory"), testing::person("admin"));
    let none = |error: DbError, id: i64| {
        assert!(matches!(&error, DbError::NotFound(why) if *why == format!("you have no token {id}")), "{error}")
    };
    none(access::revoke_token(&mut conn, &mallory, id).unwrap_err(), id);
    none(access::revoke_token(&mut conn, &mallory, 4711).unwrap_err(), 4711);
    assert!(is_good(&mut conn, &token));
    grant(&mut conn, "admin", "admin");
    access::revoke_token(&mut conn, &admin, id).unwrap();
    assert!(!is_good(&mut conn, &token));
    none(access::revoke_token(&mut conn, &admin, id).unwrap_err(), id);
    let (id, token) = make(&mut conn, "script");
    access::revoke_token(&mut conn, &testing::person(ALICE), id).unwrap();
    assert!(!is_good(&mut conn, &token));
}

#[test]
fn a_token_is_made_for_oneself_or_by_an_operator() {
    let (_db, mut conn) = database();
    let digest = testing::digest();
    let new = NewToken { person: ALICE, digest: &digest, name: "script", scopes: &[Scope::Admin], days: 1 };
    let refused = access::make_token(&mut conn, &testing::person("mallory"), &new);
    assert!(matches!(refused, Err(DbError::Forbidden(_))));
    access::make_token(&mut conn, &testing::operator(), &new).unwrap();
    assert!(is_good(&mut conn, &digest));
    let again = access::make_token(&mut conn, &testing::person(ALICE), &NewToken { digest: &testing::digest(), ..new });
    assert!(matches!(again, Err(DbError::Conflict(_))));
}

#[test]
fn what_a_token_is_found_by_is_its_digest_and_nothing_else_is_kept() {
    let (_db, mut conn) = database();
    let secret = farm_types::Digest::from_bytes([7; 32]);
    testing::log_in(&mut conn, &testing::person(ALICE), &secret, TokenKind::Login).unwrap();
    assert_eq!(text(&mut conn, "SELECT encode(digest, 'hex') AS text FROM farm.token"), secret.to_string());
    let written = text(&mut conn, "SELECT string_agg(a::text, '') AS text FROM farm.audit a");
    assert!(!written.contains(&secret.to_string()), "the audit is no place for secrets");
}

#[test]
fn a_session_that_was_begun_with_a_token_ends_with_it() {
    let (_db, mut conn) = database();
    let (secret, session) = (testing::digest(), testing::digest());
    let new = access::NewToken { person: ALICE, digest: &secret, name: "nightly", scopes: Scope::ALL, days: 1 };
    let id = access::make_token(&mut conn, &testing::person(ALICE), &new).unwrap();
    let kind = TokenKind::Session;
    let login = access::Login { token: &session, kind, scopes: Scope::ALL, seconds: 600, parent: Some(&secret) };
    access::log_in(&mut conn, &testing::person(ALICE), &login).unwrap();
    assert!(access::caller_by_token(&mut conn, &session).unwrap().unwrap().derived);
    access::revoke_token(&mut conn, &testing::person(ALICE), id).unwrap();
    assert_eq!(access::caller_by_token(&mut conn, &session).unwrap(), None);
}

#[test]
fn no_token_is_good_for_longer_than_its_kind_may_be() {
    let (_db, mut conn) = database();
    for (kind, seconds) in [(TokenKind::Login, 25 * 3600), (TokenKind::Session, 32 * 24 * 3600)] {
        let token = testing::digest();
        let login = access::Login { token: &token, kind, scopes: Scope::ALL, seconds, parent: None };
        assert!(access::log_in(&mut conn, &testing::person(ALICE), &login).is_err(), "{kind}");
    }
}

#[test]
fn of_one_person_only_the_newest_sessions_are_good_and_those_of_others_are_left_alone() {
    let (_db, mut conn) = database();
    let bob = testing::digest();
    testing::log_in(&mut conn, &testing::person("bob"), &bob, TokenKind::Session).unwrap();
    let (_, script) = make(&mut conn, "script");
    let login = log_in(&mut conn, TokenKind::Login).unwrap();
    let sessions: Vec<_> = (0..66).map(|_| log_in(&mut conn, TokenKind::Session).unwrap()).collect();
    let good: Vec<_> = sessions.iter().map(|session| is_good(&mut conn, session)).collect();
    assert_eq!(good, [vec![false; 2], vec![true; 64]].concat());
    assert!(is_good(&mut conn, &script) && is_good(&mut conn, &login));
    assert!(access::caller_by_token(&mut conn, &bob).unwrap().is_some());
    let ended = "SELECT string_agg(details->>'ended', ',') AS text FROM farm.audit WHERE action = 'log in'";
    assert_eq!(text(&mut conn, ended), "1,1");
}

#[test]
fn the_tokens_that_a_person_gets_for_tickets_are_bounded_too() {
    let (_db, mut conn) = database();
    let first = log_in(&mut conn, TokenKind::Login).unwrap();
    // As a script does that calls a tool again and again.
    let many = "INSERT INTO farm.token (digest, kind, person_id, scopes, expires_at)
        SELECT sha256(n::text::bytea), 'login', (SELECT person_id FROM farm.token LIMIT 1), '{read}', now() + interval '5 minutes'
        FROM generate_series(1, 4095) AS n";
    execute(&mut conn, many);
    assert!(is_good(&mut conn, &first));
    let last = log_in(&mut conn, TokenKind::Login).unwrap();
    assert_eq!([first, last].map(|token| is_good(&mut conn, &token)), [false, true]);
}
