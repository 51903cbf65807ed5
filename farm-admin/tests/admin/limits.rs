//! What persons may use up.

use farm_db::{DbError, intake, testing};
use farm_testing::TestDb;
use serde_json::json;

use crate::support::{json, misused, on, printed};

const ALICE: &str = "alice@EXAMPLE.ORG";

fn known() -> TestDb {
    let db = TestDb::new();
    printed(on(&db).args(["user", "add", ALICE]));
    db
}

#[test]
fn a_limit_that_is_not_named_stays_as_it_is_until_all_are_reset() {
    let db = known();
    let limit = |more: &[&str]| json(on(&db).args(["user", "limit", ALICE, "--json"]).args(more));
    let (tib, gib) = (1u64 << 40, 1u64 << 30);
    assert_eq!(limit(&[]), json!({ "jobs_waiting": 1000, "uploads": 100, "bytes": tib, "sources": 100 }));
    let changed = limit(&["--jobs-waiting", "5", "--bytes", "50G"]);
    assert_eq!(changed, json!({ "jobs_waiting": 5, "uploads": 100, "bytes": 50 * gib, "sources": 100 }));
    let changed = limit(&["--sources", "2"]);
    assert_eq!(changed, json!({ "jobs_waiting": 5, "uploads": 100, "bytes": 50 * gib, "sources": 2 }));
    let listed = json(on(&db).args(["user", "list", "--json"]));
    assert_eq!(listed[0]["own_limits"], json!({ "jobs_waiting": 5, "bytes": 50 * gib, "sources": 2 }));
    let list = printed(on(&db).args(["user", "list"]));
    assert!(list.contains(" 5*            100      50.0 GiB*  2* "), "{list}");

    // Everybody's holds for what was not set for her.
    let everybody = json(on(&db).args(["user", "limit", "--everybody", "--uploads", "7", "--json"]));
    assert_eq!(everybody, json!({ "jobs_waiting": 1000, "uploads": 7, "bytes": tib, "sources": 100 }));
    assert_eq!(
        printed(on(&db).args(["user", "limit", ALICE])),
        "LIMIT         AT MOST   SET FOR\n\
         jobs_waiting  5         this person\n\
         uploads       7         everybody\n\
         bytes         50.0 GiB  this person\n\
         sources       2         this person\n"
    );
    let reset = limit(&["--reset", "--sources", "3"]);
    assert_eq!(reset, json!({ "jobs_waiting": 1000, "uploads": 7, "bytes": tib, "sources": 3 }));
}

#[test]
fn what_a_build_may_use_up_is_set_by_word_for_one_or_for_everybody() {
    let db = known();
    let bound = |more: &[&str]| json(on(&db).args(["user", "build-limit", ALICE, "--json"]).args(more));
    assert_eq!(bound(&[]), json!({}));
    printed(on(&db).args(["user", "build-limit", "--everybody", "-l", "memory=4G", "-l", "processes=500"]));
    let (gib, both) = (1u64 << 30, ["--limit", "memory=8G", "--limit", "time=1h"]);
    let expected = json!({ "timeout_seconds": 3600, "memory_bytes": 8 * gib, "processes": 500 });
    assert_eq!(bound(&both), expected);
    assert_eq!(
        printed(on(&db).args(["user", "build-limit", ALICE])),
        "LIMIT OF A BUILD  AT MOST  SET FOR\n\
         timeout_seconds   3600     this person\n\
         memory_bytes      8.0 GiB  this person\n\
         processes         500      everybody\n"
    );
    assert_eq!(bound(&["--reset"]), json!({ "memory_bytes": 4 * gib, "processes": 500 }));
    for wrong in ["memory=0", "memory", "speed=1"] {
        misused(on(&db).args(["user", "build-limit", ALICE, "--limit", wrong]));
    }
}

#[test]
fn a_limit_that_was_set_is_the_one_that_refuses() {
    let db = known();
    printed(on(&db).args(["user", "limit", ALICE, "--jobs-waiting", "1"]));
    let mut conn = db.connect();
    let (first, second) = (testing::submission(&mut conn, ALICE), testing::submission(&mut conn, ALICE));
    intake::submit(&mut conn, &first).unwrap();
    let refusal = intake::submit(&mut conn, &second).unwrap_err();
    assert!(matches!(&refusal, DbError::Limit(said) if said.contains("jobs_waiting: 2 of at most 1")), "{refusal}");
    printed(on(&db).args(["user", "limit", ALICE, "--jobs-waiting", "2"]));
    intake::submit(&mut conn, &second).unwrap();
}

#[test]
fn a_limit_is_of_one_person_or_of_everybody_and_a_number_that_can_be() {
    let db = known();
    misused(on(&db).args(["user", "limit", "--sources", "1"]));
    misused(on(&db).args(["user", "limit", ALICE, "--everybody"]));
    misused(on(&db).args(["user", "limit", "--everybody", "--reset"]));
    misused(on(&db).args(["user", "limit", ALICE, "--uploads=-1"]));
    let said = misused(on(&db).args(["user", "limit", ALICE, "--bytes", "much"]));
    assert!(said.contains("“much” is no size: it takes a number and a unit, such as 500M, 50G or 2T"), "{said}");
    assert_eq!(json(on(&db).args(["user", "list", "--json"]))[0]["own_limits"], json!({}));
}
