//! Persons, groups, rights and buckets.

use farm_db::access;
use farm_testing::TestDb;
use farm_types::Right;
use serde_json::json;

use crate::support::{json, misused, on, printed, refused};

const ALICE: &str = "alice@EXAMPLE.ORG";

/// Whether the database lets a person do something.
fn may(db: &TestDb, principal: &str, right: Right, object: Option<&str>) -> bool {
    let mut conn = db.connect();
    let person = access::caller_by_principal(&mut conn, principal).unwrap().person;
    access::may(&mut conn, person, right, object).unwrap()
}

#[test]
fn a_person_is_made_known_shut_out_and_let_in_again() {
    let db = TestDb::new();
    assert_eq!(printed(on(&db).args(["user", "add", ALICE])), "alice@EXAMPLE.ORG is known\n");
    assert_eq!(printed(on(&db).args(["user", "add", ALICE])), "alice@EXAMPLE.ORG is known already\n");
    assert_eq!(printed(on(&db).args(["user", "disable", ALICE])), "alice@EXAMPLE.ORG is shut out\n");
    let refusal = access::caller_by_principal(&mut db.connect(), ALICE).unwrap_err();
    assert_eq!(refusal.to_string(), "alice@EXAMPLE.ORG was shut out by an administrator");

    let list = printed(on(&db).args(["user", "list"]));
    let mut lines = list.lines();
    assert_eq!(
        lines.next().unwrap(),
        "PRINCIPAL          ENABLED  JOBS  JOBS_WAITING  UPLOADS  BYTES    SOURCES  SHARE  KNOWN SINCE"
    );
    let line = lines.next().unwrap();
    assert!(
        line.starts_with("alice@EXAMPLE.ORG  no       0     1000          100      1.0 TiB  100      1      2"),
        "{line}"
    );

    let said = refused(on(&db).args(["user", "add", ALICE]));
    assert!(said.contains("was shut out; `farm-admin user enable alice@EXAMPLE.ORG`"), "{said}");
    assert_eq!(printed(on(&db).args(["user", "enable", ALICE])), "alice@EXAMPLE.ORG is let in\n");
    assert_eq!(json(on(&db).args(["user", "list", "--json"]))[0]["enabled"], true);
    assert!(may(&db, ALICE, Right::Submit, Some("scratch")));
}

#[test]
fn a_misspelt_name_is_not_made_known_by_the_way() {
    let db = TestDb::new();
    for line in
        [&["user", "disable", ALICE][..], &["user", "enable", ALICE], &["user", "limit", ALICE, "--sources", "3"]]
    {
        let said = refused(on(&db).args(line));
        let expected = "farm-admin: alice@EXAMPLE.ORG was never here; `farm-admin user add alice@EXAMPLE.ORG` makes the name known\n";
        assert_eq!(said, expected, "{line:?}");
    }
    assert_eq!(json(on(&db).args(["user", "list", "--json"])), json!([]));
}

#[test]
fn what_is_no_principal_is_told_before_anything_is_done() {
    let db = TestDb::new();
    for (bad, why) in [("everyone", "everybody"), ("@packagers", "groups"), ("*@EXAMPLE.ORG", "star"), ("a b", "blank")]
    {
        let said = misused(on(&db).args(["user", "add", bad]));
        assert!(said.contains("it is no principal, such as alice@EXAMPLE.ORG") && said.contains(why), "{said}");
    }
}

#[test]
fn a_group_has_persons_and_rules_and_what_is_given_to_it() {
    let db = TestDb::new();
    let add = ["group", "add", "packagers", "--description", "Who makes packages"];
    assert_eq!(printed(on(&db).args(add)), "added packagers\n");
    let said = refused(on(&db).args(["group", "add", "packagers"]));
    assert!(said.contains("there is a group “packagers” already; with --description"), "{said}");
    let join = ["group", "join", "packagers", ALICE, "*/admin@EXAMPLE.ORG"];
    assert_eq!(printed(on(&db).args(join)), "in packagers now: alice@EXAMPLE.ORG, */admin@EXAMPLE.ORG\n");
    printed(on(&db).args(["grant", "add", "network", "@packagers"]));
    for (principal, expected) in [(ALICE, true), ("bob/admin@EXAMPLE.ORG", true), ("bob@EXAMPLE.ORG", false)] {
        assert_eq!(may(&db, principal, Right::Network, None), expected, "{principal}");
    }
    assert_eq!(
        printed(on(&db).args(["group", "list"])),
        "GROUP      MEMBERS AND RULES                       SHARE  DESCRIPTION\n\
         packagers  alice@EXAMPLE.ORG, */admin@EXAMPLE.ORG         Who makes packages\n"
    );
    let listed = json(on(&db).args(["group", "list", "--json"]));
    assert_eq!((&listed[0]["members"], &listed[0]["rules"]), (&json!([ALICE]), &json!(["*/admin@EXAMPLE.ORG"])));

    let leave = ["group", "leave", "packagers", "*/admin@EXAMPLE.ORG"];
    assert_eq!(printed(on(&db).args(leave)), "not in packagers any more: */admin@EXAMPLE.ORG\n");
    assert!(!may(&db, "bob/admin@EXAMPLE.ORG", Right::Network, None) && may(&db, ALICE, Right::Network, None));
    let removed = printed(on(&db).args(["group", "remove", "packagers"]));
    assert_eq!(removed, "removed packagers\ntaken back with it: network\n");
    assert!(!may(&db, ALICE, Right::Network, None));
}

#[test]
fn of_several_members_all_leave_a_group_or_none() {
    let db = TestDb::new();
    printed(on(&db).args(["group", "add", "packagers"]));
    printed(on(&db).args(["group", "join", "packagers", ALICE]));
    printed(on(&db).args(["user", "add", "bob"]));
    let said = refused(on(&db).args(["group", "leave", "packagers", ALICE, "bob"]));
    assert_eq!(said, "farm-admin: bob was not put into group “packagers”\n");
    assert_eq!(json(on(&db).args(["group", "list", "--json"]))[0]["members"], json!([ALICE]));
    let said = refused(on(&db).args(["group", "leave", "packagers", "*/admin"]));
    assert_eq!(said, "farm-admin: group “packagers” has no rule “*/admin”\n");
}

#[test]
fn a_group_that_is_not_there_is_named() {
    let db = TestDb::new();
    for line in [
        &["group", "join", "nobody", ALICE][..],
        &["group", "leave", "nobody", ALICE],
        &["group", "remove", "nobody"],
        &["grant", "add", "admin", "@nobody"],
    ] {
        assert_eq!(refused(on(&db).args(line)), "farm-admin: there is no group “nobody”\n", "{line:?}");
    }
    assert!(misused(on(&db).args(["group", "add", "No Group"])).contains("is no group name"));
}

#[test]
fn a_right_is_given_listed_and_taken_back() {
    let db = TestDb::new();
    assert!(!may(&db, ALICE, Right::Submit, Some("selftest")));
    let line = ["grant", "add", "submit:selftest", ALICE];
    assert_eq!(printed(on(&db).args(line)), "alice@EXAMPLE.ORG has submit:selftest\n");
    assert!(may(&db, ALICE, Right::Submit, Some("selftest")) && !may(&db, "bob", Right::Submit, Some("selftest")));
    assert_eq!(printed(on(&db).args(["grant", "add", "own:*", "everyone"])), "everyone has own:*\n");
    assert!(may(&db, "bob", Right::Own, Some("selftest")));

    let list = printed(on(&db).args(["grant", "list"]));
    assert!(list.starts_with("RIGHT             WHO                SINCE\n"), "{list}");
    for line in ["submit:scratch    everyone ", "submit:selftest   alice@EXAMPLE.ORG ", "own:*             everyone "] {
        assert!(list.lines().any(|found| found.starts_with(line)), "no “{line}” in:\n{list}");
    }
    let listed = json(on(&db).args(["grant", "list", "--json"]));
    assert!(listed.as_array().unwrap().iter().any(|g| g["right"] == "build:*" && g["to"] == "everyone"), "{listed}");

    let line = ["grant", "remove", "submit:selftest", ALICE];
    assert_eq!(printed(on(&db).args(line)), "submit:selftest was taken back from alice@EXAMPLE.ORG\n");
    let said = refused(on(&db).args(line));
    assert_eq!(said, "farm-admin: the right “submit:selftest” was not given to alice@EXAMPLE.ORG\n");
    printed(on(&db).args(["grant", "remove", "own:*", "everyone"]));
    assert!(!may(&db, ALICE, Right::Submit, Some("selftest")));
}

#[test]
fn a_right_on_something_that_is_not_there_and_one_that_is_none_are_refused() {
    let db = TestDb::new();
    for (right, said) in [
        ("submit:nowhere", "there is no bucket “nowhere”"),
        ("build:f99-x86_64", "there is no platform “f99-x86_64”"),
        ("class:late", "there is no class “late”"),
    ] {
        assert_eq!(refused(on(&db).args(["grant", "add", right, ALICE])), format!("farm-admin: {said}\n"));
    }
    for (right, said) in [
        ("everything", "“everything” is no right; known are: submit, see"),
        ("submit", "the right submit is about one thing or all: submit:NAME or submit:*"),
        ("admin:*", "the right admin is for the whole farm"),
    ] {
        let found = misused(on(&db).args(["grant", "add", right, ALICE]));
        assert!(found.contains(said), "{found}");
    }
    assert!(
        misused(on(&db).args(["grant", "add", "admin", "*@EXAMPLE.ORG"])).contains("a star is for the rules of groups")
    );
    assert_eq!(refused(on(&db).args(["grant", "remove", "admin", "mallory"])).lines().count(), 1);
}

#[test]
fn a_bucket_is_made_closed_opened_and_described() {
    let db = TestDb::new();
    let add = ["bucket", "add", "secret", "--private", "--description", "Not yet announced"];
    assert_eq!(printed(on(&db).args(add)), "added secret\n");
    let sees = |db: &TestDb| {
        let viewer = access::caller_by_principal(&mut db.connect(), ALICE).unwrap().person;
        let viewer = farm_db::Viewer(Some(viewer));
        access::sees_bucket(&mut db.connect_as("farm_web"), viewer, &"secret".parse().unwrap()).unwrap()
    };
    assert!(!sees(&db));
    printed(on(&db).args(["grant", "add", "see:secret", ALICE]));
    assert!(sees(&db));
    assert_eq!(
        printed(on(&db).args(["bucket", "list"])),
        "BUCKET    PUBLIC  KEEPS    DESCRIPTION\n\
         scratch   yes     30 days  Builds to look at\n\
         secret    no      forever  Not yet announced\n\
         selftest  yes     7 days   What farm-admin selftest builds\n"
    );
    assert_eq!(printed(on(&db).args(["bucket", "set", "secret", "--description", "Soon"])), "changed secret\n");
    let secret = |db: &TestDb| json(on(db).args(["bucket", "list", "--json"]))[1].clone();
    assert_eq!(secret(&db), json!({ "name": "secret", "description": "Soon", "public": false }));
    printed(on(&db).args(["bucket", "set", "secret", "--public"]));
    assert_eq!(secret(&db), json!({ "name": "secret", "description": "Soon", "public": true }));
}

#[test]
fn a_bucket_is_not_made_twice_nor_changed_where_there_is_none_nor_both_open_and_closed() {
    let db = TestDb::new();
    let said = refused(on(&db).args(["bucket", "add", "scratch", "--private"]));
    assert!(said.contains("there is a bucket “scratch” already; `farm-admin bucket set scratch`"), "{said}");
    let said = refused(on(&db).args(["bucket", "set", "nowhere", "--private"]));
    assert!(said.contains("there is no bucket “nowhere”; `farm-admin bucket add nowhere`"), "{said}");
    misused(on(&db).args(["bucket", "set", "scratch"]));
    misused(on(&db).args(["bucket", "set", "scratch", "--public", "--private"]));
    assert!(misused(on(&db).args(["bucket", "add", "../etc"])).contains("is no bucket name"));
    assert_eq!(json(on(&db).args(["bucket", "list", "--json"]))[0]["public"], true);
}

#[test]
fn who_does_not_own_the_farm_is_no_operator() {
    let db = TestDb::new();
    let mut command = crate::support::command();
    command.args(["--database", &db.url_as("farm_web"), "bucket", "add", "mine"]);
    let said = refused(&mut assert_cmd::Command::from_std(command));
    assert_eq!(said, "farm-admin: the role farm_web is no operator of the farm\n");
}

#[test]
fn a_share_is_set_for_a_person_or_for_each_of_a_group_and_taken_back() {
    let db = TestDb::new();
    printed(on(&db).args(["user", "add", ALICE]));
    printed(on(&db).args(["group", "add", "packagers"]));
    printed(on(&db).args(["group", "join", "packagers", ALICE]));
    let share = |args: &[&str]| printed(on(&db).args(args));
    assert_eq!(share(&["user", "share", ALICE]), "alice@EXAMPLE.ORG has a share of 1 (of the groups, or 1)\n");
    assert_eq!(
        share(&["group", "share", "packagers", "3"]),
        "each who is in packagers has a share of 3, where no greater one holds\n"
    );
    assert_eq!(share(&["user", "share", ALICE]), "alice@EXAMPLE.ORG has a share of 3 (of the groups, or 1)\n");
    assert_eq!(share(&["user", "share", ALICE, "0.5"]), "alice@EXAMPLE.ORG has a share of 0.5 (set for this person)\n");
    assert_eq!(json(on(&db).args(["user", "list", "--json"]))[0]["share"], 0.5);
    assert_eq!(access::account(&mut db.connect(), ALICE).unwrap().share, 0.5);
    share(&["user", "share", ALICE, "--reset"]);
    assert_eq!(share(&["group", "share", "packagers", "--reset"]), "packagers gives no share to who is in it\n");
    assert_eq!(share(&["user", "share", ALICE]), "alice@EXAMPLE.ORG has a share of 1 (of the groups, or 1)\n");
    let said = refused(on(&db).args(["user", "share", "stranger@EXAMPLE.ORG", "2"]));
    assert!(said.contains("was never here"), "{said}");
}
