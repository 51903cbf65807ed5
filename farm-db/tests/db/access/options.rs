//! What a job asks of its builds: who may ask for it, and that it comes to the builder.

use diesel::{PgConnection, RunQueryDsl as _, sql_query};
use farm_api::{limits::Limits, options::BuildOptions};
use farm_db::{
    DbError, Result, access,
    intake::{self, Submission},
    operator, publish, queue, read, testing,
};
use farm_types::{JobId, Outcome};
use serde_json::{Value, json};

use super::{bucket, grant, let_in};
use crate::support::{PLATFORM, database, execute, texts};

const ALICE: &str = "alice";

fn options(json: Value) -> BuildOptions {
    serde_json::from_value(json).unwrap()
}

fn asking(conn: &mut PgConnection, json: Value) -> Result<JobId> {
    let new = Submission { options: options(json), ..testing::submission(conn, ALICE) };
    intake::submit(conn, &new).map(|(job, _)| job)
}

/// It is refused, and the rights that it takes are named.
#[track_caller]
fn assert_takes<T: std::fmt::Debug>(answer: Result<T>, rights: &str) {
    match answer.unwrap_err() {
        DbError::Forbidden(why) => assert!(why.contains(&format!("takes the right {rights},")), "{why}"),
        other => panic!("{other}"),
    }
}

fn take(conn: &mut PgConnection, right: &str, from: &str) {
    operator::set_grant(conn, &testing::operator(), &right.parse().unwrap(), from, false).unwrap();
}

fn kept(conn: &mut PgConnection, job: JobId) -> BuildOptions {
    read::job(conn, farm_db::Viewer::ANYBODY, job).unwrap().options
}

#[test]
fn what_is_asked_for_is_kept_with_the_job_and_comes_to_its_builder() {
    let (_db, mut conn) = database();
    let asked = json!({ "check": false, "with": ["docs"], "macros": { "dist": ".x" }, "limits": { "files": 5 } });
    let job = asking(&mut conn, asked.clone()).unwrap();
    testing::accept(&mut conn, job, &[PLATFORM]);
    assert_eq!(kept(&mut conn, job), options(asked.clone()));
    let builder = testing::builder(&mut conn, "one");
    let task = queue::claim(&mut conn, builder.id, builder.instance, 1, 60).unwrap().remove(0);
    assert_eq!(task.options, options(asked.clone()));
    // And again, when it is built again.
    builder.finish(&mut conn, &task.key, Outcome::Failed).unwrap();
    queue::retry_job(&mut conn, &testing::person(ALICE), job, false).unwrap();
    let task = queue::claim(&mut conn, builder.id, builder.instance, 1, 60).unwrap().remove(0);
    assert_eq!((task.options, task.limits), (options(asked), Limits::default()));
}

#[test]
fn a_job_that_asks_for_nothing_is_as_it_always_was() {
    let (_db, mut conn) = database();
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    assert!(kept(&mut conn, job).is_default());
    assert!(texts(&mut conn, "SELECT action AS text FROM farm.audit WHERE action = 'ask of builds'").is_empty());
}

#[test]
fn each_option_takes_its_right_and_a_refusal_names_all_that_are_missing() {
    let (_db, mut conn) = database();
    bucket(&mut conn, "open", true);
    bucket(&mut conn, "closed", false);
    let external = json!([{ "baseurl": "https://example.org/" }]);
    // What takes none.
    asking(&mut conn, json!({ "check": false, "weight": 2, "limits": { "files": 1 } })).unwrap();
    asking(&mut conn, json!({ "repositories": [{ "name": "extra" }], "buckets": ["open"] })).unwrap();
    // What everybody has at first.
    asking(&mut conn, json!({ "with": ["x"], "without": ["y"], "macros": { "abc": "1" } })).unwrap();
    assert_takes(asking(&mut conn, json!({ "repositories": external })), "“external”");
    assert_takes(asking(&mut conn, json!({ "buckets": ["closed", "open", "nowhere"] })), "“see:closed”, “see:nowhere”");
    take(&mut conn, "define", "everyone");
    for option in ["with", "without"] {
        assert_takes(asking(&mut conn, json!({ option: ["x"] })), "“define”");
    }
    let all = json!({ "macros": { "abc": "1" }, "repositories": external, "buckets": ["closed"] });
    assert_takes(asking(&mut conn, all.clone()), "“define”, “external”, “see:closed”");
    for right in ["define", "external", "see:closed"] {
        grant(&mut conn, right, ALICE);
    }
    asking(&mut conn, all).unwrap();
}

#[test]
fn a_request_that_came_before_is_answered_as_it_was_then_and_a_retry_takes_the_rights_of_now() {
    let (_db, mut conn) = database();
    let new = Submission { options: options(json!({ "with": ["x"] })), ..testing::submission(&mut conn, ALICE) };
    let (job, _) = intake::submit(&mut conn, &new).unwrap();
    testing::accept(&mut conn, job, &[PLATFORM]);
    queue::cancel_job(&mut conn, &testing::person(ALICE), job).unwrap();
    take(&mut conn, "define", "everyone");
    assert_eq!(intake::submit(&mut conn, &new).unwrap(), (job, false));
    assert_takes(queue::retry_job(&mut conn, &testing::person(ALICE), job, false), "“define”");
    grant(&mut conn, "define", ALICE);
    assert_eq!(queue::retry_job(&mut conn, &testing::person(ALICE), job, false).unwrap(), 1);
}

#[test]
fn the_bounds_of_a_persons_builds_are_the_own_ones_and_else_those_of_everybody() {
    let (_db, mut conn) = database();
    let_in(&mut conn, ALICE, true);
    let set = |conn: &mut PgConnection, whose, limits| {
        operator::put_build_limits(conn, &testing::operator(), whose, &limits).unwrap();
    };
    let everybody = Limits { memory_bytes: Some(4), processes: Some(100), ..Limits::default() };
    let own = Limits { memory_bytes: Some(8), files: Some(1), ..Limits::default() };
    set(&mut conn, None, everybody);
    assert_eq!(operator::build_limits(&mut conn, Some(ALICE)).unwrap(), (everybody, Limits::default()));
    set(&mut conn, Some(ALICE), own);
    let both = Limits { processes: Some(100), ..own };
    assert_eq!(operator::build_limits(&mut conn, Some(ALICE)).unwrap(), (both, own));
    assert_eq!(operator::build_limits(&mut conn, None).unwrap(), (everybody, everybody));
    assert_eq!(access::account(&mut conn, ALICE).unwrap().build_limits, both);
    testing::accepted(&mut conn, &[PLATFORM]);
    let builder = testing::builder(&mut conn, "one");
    assert_eq!(queue::claim(&mut conn, builder.id, builder.instance, 1, 60).unwrap()[0].limits, both);
    set(&mut conn, Some(ALICE), Limits::default());
    assert_eq!(access::account(&mut conn, ALICE).unwrap().build_limits, everybody);
}

#[test]
fn a_builder_reads_the_buckets_that_its_task_asked_for_as_long_as_it_holds_it_and_the_person_sees_them() {
    let (_db, mut conn) = database();
    for (name, public) in [("closed", false), ("open", true)] {
        bucket(&mut conn, name, public);
    }
    grant(&mut conn, "see:closed", ALICE);
    let job = asking(&mut conn, json!({ "buckets": ["closed"] })).unwrap();
    testing::accept(&mut conn, job, &[PLATFORM]);
    let builder = testing::builder(&mut conn, "one");
    let key = builder.claim_one(&mut conn);
    let may = |conn: &mut PgConnection, name: &str| queue::bucket(conn, builder.id, &key, &name.parse().unwrap());
    assert_eq!(may(&mut conn, "closed").unwrap().platform.as_str(), PLATFORM);
    assert!(matches!(may(&mut conn, "open").unwrap_err(), DbError::Forbidden(_)));
    take(&mut conn, "see:closed", ALICE);
    assert!(matches!(may(&mut conn, "closed").unwrap_err(), DbError::Forbidden(_)));
    // What the platform gives to every build, if everybody sees it.
    let give = r#"UPDATE farm.platform SET recipe = recipe || '{"buckets": ["open", "closed"]}'"#;
    let refused = sql_query(give).execute(&mut conn).unwrap_err().to_string();
    assert!(refused.contains("gives the packages of “closed” to every build"), "{refused}");
    execute(&mut conn, "UPDATE farm.bucket SET public = true WHERE name = 'closed'");
    execute(&mut conn, give);
    execute(&mut conn, "UPDATE farm.bucket SET public = false WHERE name = 'closed'");
    may(&mut conn, "open").unwrap();
    assert!(matches!(may(&mut conn, "closed").unwrap_err(), DbError::Forbidden(_)));
    builder.finish(&mut conn, &key, Outcome::Failed).unwrap();
    assert!(matches!(may(&mut conn, "open").unwrap_err(), DbError::LeaseLost(_)));
}

#[test]
fn a_bucket_is_behind_while_what_was_built_before_is_not_published_and_not_for_what_comes_later() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let build = |conn: &mut PgConnection| {
        let job = asking(conn, json!({ "buckets": ["scratch"] })).unwrap();
        testing::accept(conn, job, &[PLATFORM]);
        builder.claim_one(conn)
    };
    let first = build(&mut conn);
    builder.finish(&mut conn, &first, Outcome::Succeeded).unwrap();
    let second = build(&mut conn);
    let behind =
        |conn: &mut PgConnection| queue::bucket(conn, builder.id, &second, &"scratch".parse().unwrap()).unwrap().behind;
    assert!(behind(&mut conn));
    let repository = publish::Repository { bucket: "scratch".parse().unwrap(), platform: PLATFORM.parse().unwrap() };
    let contents = publish::contents(&mut conn, &repository).unwrap().unwrap();
    publish::published(&mut conn, &repository, &contents.reasons, 1).unwrap();
    assert!(!behind(&mut conn));
    let third = build(&mut conn);
    builder.finish(&mut conn, &third, Outcome::Succeeded).unwrap();
    assert!(!behind(&mut conn), "a busy bucket would never be read");
}
