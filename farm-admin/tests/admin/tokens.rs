//! Tokens for scripts, made and revoked by operators.

use farm_auth::Token;
use farm_db::access;
use farm_testing::TestDb;
use farm_types::{Scope, TokenKind};
use serde_json::json;

use crate::support::{json, misused, on, printed, refused};

const ALICE: &str = "alice@EXAMPLE.ORG";

fn known() -> TestDb {
    let db = TestDb::new();
    printed(on(&db).args(["user", "add", ALICE]));
    db
}

/// What the token stands for to the farm.
fn bearer(db: &TestDb, secret: &str) -> Option<access::TokenBearer> {
    let token: Token = secret.trim().parse().unwrap();
    access::caller_by_token(&mut db.connect(), &token.digest()).unwrap()
}

#[test]
fn a_token_is_printed_alone_and_stands_for_the_person_until_it_is_revoked() {
    let db = known();
    let mut add = on(&db);
    let add = add.args(["token", "add", ALICE, "nightly", "--scopes", "submit,read", "--days", "7"]).assert().success();
    let (secret, hint) = (&add.get_output().stdout, &add.get_output().stderr);
    let (secret, hint) = (String::from_utf8(secret.clone()).unwrap(), String::from_utf8(hint.clone()).unwrap());
    assert_eq!(secret.lines().count(), 1);
    assert!(
        hint.contains("of alice@EXAMPLE.ORG, good for read, submit, for 7 days; it is never shown again"),
        "{hint}"
    );
    assert!(!hint.contains(secret.trim()), "the secret is on one stream alone");
    let found = bearer(&db, &secret).unwrap();
    assert_eq!((found.known.principal.as_str(), found.kind), (ALICE, TokenKind::Api));
    assert_eq!(found.scopes, [Scope::Read, Scope::Submit]);

    let listed = json(on(&db).args(["token", "list", "--json"]));
    let id = listed[0]["id"].as_i64().unwrap().to_string();
    assert_eq!((&listed[0]["name"], &listed[0]["scopes"]), (&json!("nightly"), &json!(["read", "submit"])));
    let list = printed(on(&db).args(["token", "list", ALICE]));
    assert!(list.starts_with("ID  PERSON             KIND  NAME     SCOPES        MADE "), "{list}");
    assert!(!list.contains(secret.trim()) && !listed.to_string().contains(secret.trim()), "no list shows a secret");

    let revoked = printed(on(&db).args(["token", "revoke", &id]));
    assert_eq!(revoked, format!("revoked token “nightly”, number {id} of alice@EXAMPLE.ORG\n"));
    assert_eq!(bearer(&db, &secret), None);
    let said = refused(on(&db).args(["token", "revoke", &id]));
    assert_eq!(
        said,
        format!(
            "farm-admin: there is no token {id} that is good now; `farm-admin token list` shows those that there are\n"
        )
    );
}

#[test]
fn a_token_as_json_has_its_number() {
    let db = known();
    let made = json(on(&db).args(["token", "add", ALICE, "ci", "--scopes", "read", "--json"]));
    assert!(bearer(&db, made["token"].as_str().unwrap()).is_some());
    assert_eq!(made["id"], json(on(&db).args(["token", "list", "--json"]))[0]["id"]);
}

#[test]
fn a_name_is_used_once_and_nobody_gets_a_token_who_is_shut_out_or_unknown() {
    let db = known();
    let add = |who: &str| ["token", "add", who, "ci", "--scopes", "read"].map(str::to_owned);
    printed(on(&db).args(add(ALICE)));
    let said = refused(on(&db).args(add(ALICE)));
    assert_eq!(said, "farm-admin: there is a token “ci” already; revoke it or choose another name\n");
    assert!(refused(on(&db).args(add("bob"))).contains("bob was never here; `farm-admin user add bob`"));
    assert!(refused(on(&db).args(["token", "list", "bob"])).contains("bob was never here"));
    printed(on(&db).args(["user", "add", "bob"]));
    printed(on(&db).args(["user", "disable", "bob"]));
    assert_eq!(refused(on(&db).args(add("bob"))), "farm-admin: bob was shut out by an administrator\n");
    assert_eq!(json(on(&db).args(["token", "list", "--json"])).as_array().unwrap().len(), 1);
}

#[test]
fn a_token_needs_a_name_scopes_and_an_end() {
    let db = known();
    let add = |more: &[&str]| misused(on(&db).args(["token", "add", ALICE]).args(more));
    assert!(add(&["ci"]).contains("--scopes"));
    assert!(add(&["ci", "--scopes", "write"]).contains("“write” is no scope; known are: read, submit, cancel, admin"));
    assert!(add(&["_ci", "--scopes", "read"]).contains("beginning with a letter or digit"));
    for days in ["0", "367"] {
        assert!(add(&["ci", "--scopes", "read", "--days", days]).contains("1..=366"));
    }
}
