//! What was done can be read, and what contradicts itself is found.

use diesel::{RunQueryDsl as _, sql_query};
use farm_testing::TestDb;
use serde_json::Value;

use crate::support::{json, misused, on, printed, refused};

/// What one field of each line says.
fn each(lines: &Value, field: &str) -> Vec<String> {
    lines.as_array().unwrap().iter().map(|line| line[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_an_operator_did_is_told_in_its_order_with_who_and_to_what() {
    let db = TestDb::new();
    let mut add = on(&db);
    add.env("SUDO_USER", "carol").args(["user", "add", "alice"]).assert().success();
    printed(on(&db).args(["grant", "add", "network", "alice"]));
    printed(on(&db).args(["bucket", "add", "updates"]));
    let lines = json(on(&db).args(["audit", "--json"]));
    assert_eq!(each(&lines, "action"), ["become known", "enable", "grant", "put bucket"]);
    assert_eq!(each(&lines, "object"), ["person alice", "person alice", "right network", "bucket updates"]);
    assert_eq!(each(&lines, "way"), ["operator"; 4]);
    assert_eq!(lines[0]["actor"], "carol", "behind sudo it is who called it");
    assert!(lines[0]["process"].as_str().unwrap().starts_with("role "), "{lines}");

    let table = printed(on(&db).args(["audit", "--action", "grant"]));
    assert!(table.starts_with("WHEN "), "{table}");
    assert!(table.lines().nth(1).unwrap().ends_with("  grant   right network  to=alice"), "{table}");
    assert_eq!(
        each(&json(on(&db).args(["audit", "--actor", "carol", "--json"])), "action"),
        ["become known", "enable"]
    );
    assert_eq!(each(&json(on(&db).args(["audit", "--object", "bucket updates", "--json"])), "action"), ["put bucket"]);
    assert_eq!(json(on(&db).args(["audit", "--actor", "mallory", "--json"])), serde_json::json!([]));
}

#[test]
fn how_long_the_audit_is_kept_is_said_and_is_in_it() {
    let db = TestDb::new();
    assert_eq!(printed(on(&db).arg("keep-audit")), "the audit is kept for ever\n");
    let said = refused(on(&db).args(["keep-audit", "2"]));
    assert!(said.contains("kept for 3 months at least"), "{said}");
    let kept = "a line of the audit is kept for 24 months after its own\n";
    assert_eq!(printed(on(&db).args(["keep-audit", "24"])), kept);
    assert_eq!(printed(on(&db).arg("keep-audit")), kept);
    assert_eq!(each(&json(on(&db).args(["audit", "--json"])), "action"), ["keep audit"]);
}

#[test]
fn the_newest_lines_are_shown_and_that_there_are_older_ones() {
    let db = TestDb::new();
    // More than the database gives at once.
    let many = "SELECT farm.record(ROW('alice', 'token', NULL)::farm.actor, 'submit', 'job ' || n, NULL) FROM generate_series(1, 2500) n";
    sql_query(many).execute(&mut db.connect()).unwrap();
    let objects = |n: &str| each(&json(on(&db).args(["audit", "-n", n, "--json"])), "object");
    assert_eq!(objects("2"), ["job 2499", "job 2500"]);
    let all: Vec<_> = (1..=2500).map(|n| format!("job {n}")).collect();
    assert_eq!(objects("2400"), all[100..]);
    assert_eq!(objects("2500"), all);
    let said = |n: &str| String::from_utf8(on(&db).args(["audit", "-n", n]).output().unwrap().stderr).unwrap();
    assert_eq!(said("30"), "there are older lines; -n 300 shows more\n");
    assert_eq!(said("2500"), "");
}

#[test]
fn the_audit_begins_where_one_says() {
    let db = TestDb::new();
    printed(on(&db).args(["user", "add", "alice"]));
    let since = |time: &str| json(on(&db).args(["audit", "--json", "--since", time])).as_array().unwrap().len();
    assert_eq!(
        (since("1h"), since("1970-01-01"), since("2999-01-01T00:00Z")),
        (2, 2, 0),
        "she becomes known and is let in"
    );
    let at = json(on(&db).args(["audit", "--json"]))[0]["at"].as_str().unwrap().to_owned();
    assert_eq!(since(&at), 2, "the very moment counts");
    assert!(misused(on(&db).args(["audit", "--since", "yesterday"])).contains("how long ago, such as 2h or 3d"));
    misused(on(&db).args(["audit", "-n", "0"]));
}

#[test]
fn a_sound_database_is_well_and_one_that_contradicts_itself_is_not() {
    let db = TestDb::new();
    farm_db::testing::platform(&mut db.connect(), "f13-x86_64");
    let job = farm_db::testing::accepted(&mut db.connect(), &["f13-x86_64"]);
    let said = printed(on(&db).arg("check"));
    assert_eq!(said, format!("all {} rules hold\n", farm_db::invariants::INVARIANTS.len()));
    assert_eq!(json(on(&db).args(["check", "--json"])), serde_json::json!([]));

    sql_query("UPDATE farm.job SET open = false").execute(&mut db.connect()).unwrap();
    let output = on(&db).arg("check").assert().code(1).get_output().clone();
    let found = String::from_utf8(output.stdout).unwrap();
    assert_eq!(found, format!("a job is open exactly until it has ended: not so for job {job}\n"));
    assert!(String::from_utf8(output.stderr).unwrap().contains("keep a copy of it, and report this"));
    let output = on(&db).args(["check", "--json"]).assert().code(1).get_output().clone();
    assert_eq!(serde_json::from_slice::<Vec<String>>(&output.stdout).unwrap().len(), 1);
}
