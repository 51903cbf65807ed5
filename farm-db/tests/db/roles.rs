//! Which role may do what.

use diesel::{RunQueryDsl as _, connection::SimpleConnection as _, sql_query};
use farm_db::{
    operator, queue,
    testing::{self, TestBuilder},
};

use crate::support::{PLATFORM, database, texts};

/// The functions that each role may call. What is not here is called by these functions themselves.
const FUNCTIONS: &[(&str, &[&str])] = &[
    (
        "farm_hub",
        &[
            "append_log",
            "builder_by_token",
            "claim",
            "finish",
            "hello",
            "is_final",
            "platforms_of",
            "release",
            "renew",
            "stage_began",
        ],
    ),
    ("farm_janitor", &["is_final", "platforms_of", "reap", "seal_log"]),
    ("farm_publisher", &["is_final", "platforms_of", "publish_again", "published"]),
    ("farm_readonly", &["is_final", "platforms_of"]),
    ("farm_validator", &["accept", "is_final", "platforms_of", "postpone", "reject", "take_submitted"]),
    ("farm_web", &["cancel_job", "is_final", "person_of", "platforms_of", "retry_job", "submit"]),
];

#[test]
fn every_role_may_call_what_it_needs_and_nothing_else() {
    let (_db, mut conn) = database();
    for (role, expected) in FUNCTIONS {
        let allowed = texts(
            &mut conn,
            &format!(
                "SELECT proname::text AS text FROM pg_proc WHERE pronamespace = 'farm'::regnamespace
                 AND has_function_privilege('{role}', oid, 'EXECUTE') ORDER BY 1"
            ),
        );
        assert_eq!(allowed, *expected, "{role}");
    }
}

#[test]
fn what_a_role_is_not_for_is_refused_by_the_database() {
    let (db, _conn) = database();
    for (role, sql) in [
        ("farm_web", "SELECT farm.claim(1, gen_random_uuid(), 1, '60 s')"),
        ("farm_web", "SELECT token_digest FROM farm.builder"),
        ("farm_web", "SELECT token FROM farm.lease"),
        ("farm_web", "SELECT token FROM farm.attempt"),
        ("farm_web", "UPDATE farm.task SET state = 'succeeded'"),
        ("farm_hub", "SELECT farm.submit('a', 'k', '', '', '', 'normal', '', NULL, NULL, '{}', '{}')"),
        ("farm_hub", "SELECT farm.cancel_job(1, 'a')"),
        ("farm_hub", "SELECT token_digest FROM farm.builder"),
        ("farm_hub", "SELECT token FROM farm.attempt"),
        ("farm_hub", "DELETE FROM farm.lease"),
        ("farm_validator", "SELECT farm.submit('a', 'k', '', '', '', 'normal', '', NULL, NULL, '{}', '{}')"),
        ("farm_validator", "SELECT farm.reap('0 s')"),
        ("farm_janitor", "SELECT farm.accept(1, '[]', '{}', '[]')"),
        ("farm_publisher", "SELECT farm.finish(1, 1, 1, NULL, 'succeeded', NULL, NULL, '', '[]', '[]', '[]')"),
        ("farm_readonly", "INSERT INTO farm.bucket (name) VALUES ('mine')"),
        ("farm_readonly", "CREATE TABLE farm.mine ()"),
    ] {
        let error = sql_query(sql).execute(&mut db.connect_as(role)).expect_err(sql).to_string();
        assert!(error.contains("permission denied"), "{role}: {sql}: {error}");
    }
}

#[test]
fn the_hub_can_do_all_that_a_builder_asks_for_with_its_own_role() {
    let (db, mut conn) = database();
    let token = testing::digest();
    operator::put_builder(&mut conn, &"one".parse().unwrap(), &token, None).unwrap();
    testing::accepted(&mut conn, &[PLATFORM]);
    let mut hub = db.connect_as("farm_hub");
    let id = operator::builder_by_token(&mut hub, &token).unwrap().unwrap().id;
    let builder = TestBuilder::new(id).restarted(&mut hub);
    let key = builder.claim_one(&mut hub);
    queue::source(&mut hub, id, &key, 1).unwrap();
    queue::held(&mut hub, id, &key).unwrap();
    queue::gone(&mut hub, id, &[key]).unwrap();
    assert_eq!(queue::platforms_of(&mut hub, &[id]).unwrap()[&id].len(), 1);
    assert!(queue::ready_counts(&mut hub, &[PLATFORM.parse().unwrap()], 9).unwrap().is_empty());
    queue::append_log(&mut hub, id, &key, 0, 3, b"abc").unwrap();
    farm_db::blobs::record(&mut hub, &testing::digest(), 1).unwrap();
    builder.finish(&mut hub, &key, farm_types::Outcome::Succeeded).unwrap();
}

#[test]
fn nobody_without_a_role_sees_the_farm() {
    let (db, mut conn) = database();
    conn.batch_execute("DROP ROLE IF EXISTS stranger_to_the_farm; CREATE ROLE stranger_to_the_farm LOGIN").unwrap();
    let error =
        sql_query("SELECT FROM farm.job").execute(&mut db.connect_as("stranger_to_the_farm")).expect_err("it saw");
    assert!(error.to_string().contains("permission denied for schema farm"), "{error}");
}
