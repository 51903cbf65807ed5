//! Jobs that come after others.

use diesel::PgConnection;
use farm_db::{
    intake::{self, Decision},
    queue,
    testing::{self, TestBuilder},
};
use farm_types::{JobId, Outcome};

use crate::support::{PLATFORM, assert_sound, database, state, text};

fn accepted_after(conn: &mut PgConnection, before: JobId) -> JobId {
    let job = testing::submitted(conn, Some(before));
    testing::accept(conn, job, &[PLATFORM]);
    job
}

fn end_next(conn: &mut PgConnection, builder: TestBuilder, outcome: Outcome) {
    let key = builder.claim_one(conn);
    builder.finish(conn, &key, outcome).unwrap();
}

#[test]
fn a_success_lets_the_next_job_go() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::platform(&mut conn, "b-x86_64");
    let first = testing::accepted(&mut conn, &[PLATFORM, "b-x86_64"]);
    let second = accepted_after(&mut conn, first);
    let third = accepted_after(&mut conn, second);
    end_next(&mut conn, builder, Outcome::Succeeded);
    assert_eq!(state(&mut conn, second), "waiting", "one of two platforms is not the whole job");
    end_next(&mut conn, builder, Outcome::Succeeded);
    assert_eq!([state(&mut conn, second), state(&mut conn, third)], ["pending", "waiting"]);
    end_next(&mut conn, builder, Outcome::Succeeded);
    assert_eq!(state(&mut conn, third), "pending");
    assert_sound(&mut conn);
}

#[test]
fn a_failure_cancels_all_that_come_after_and_says_why() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let first = testing::accepted(&mut conn, &[PLATFORM]);
    let second = accepted_after(&mut conn, first);
    let third = accepted_after(&mut conn, second);
    end_next(&mut conn, builder, Outcome::Failed);
    assert_eq!([state(&mut conn, second), state(&mut conn, third)], ["cancelled", "cancelled"]);
    let why = text(&mut conn, &format!("SELECT message AS text FROM farm.task WHERE job_id = {third}"));
    assert_eq!(why, format!("job {second}, which this one comes after, did not succeed"));
    assert_sound(&mut conn);
}

#[test]
fn a_predecessor_that_is_rejected_or_cancelled_before_it_was_accepted_cancels_too() {
    let (_db, mut conn) = database();
    let rejected = testing::submitted(&mut conn, None);
    let cancelled = testing::submitted(&mut conn, None);
    let after = [rejected, cancelled].map(|before| accepted_after(&mut conn, before));
    let reason = farm_api::error::Reason { code: "no_spec".to_owned(), source: None, message: "no spec".to_owned() };
    intake::decide_next(&mut conn, |_, _| Some(Decision::Reject(vec![reason]))).unwrap();
    assert_eq!(queue::cancel_job(&mut conn, &testing::person("alice"), cancelled).unwrap(), 1);
    assert_eq!(after.map(|job| state(&mut conn, job)), ["cancelled", "cancelled"]);
    assert_sound(&mut conn);
}

#[test]
fn a_job_after_one_that_has_ended_is_decided_at_once() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let good = testing::accepted(&mut conn, &[PLATFORM]);
    end_next(&mut conn, builder, Outcome::Succeeded);
    let bad = testing::accepted(&mut conn, &[PLATFORM]);
    end_next(&mut conn, builder, Outcome::Failed);
    let (after_good, after_bad) = (accepted_after(&mut conn, good), accepted_after(&mut conn, bad));
    assert_eq!([state(&mut conn, after_good), state(&mut conn, after_bad)], ["pending", "cancelled"]);
    assert_sound(&mut conn);
}

#[test]
fn cancelling_a_waiting_job_cancels_what_comes_after_it() {
    let (_db, mut conn) = database();
    let first = testing::accepted(&mut conn, &[PLATFORM]);
    let second = accepted_after(&mut conn, first);
    let third = accepted_after(&mut conn, second);
    assert_eq!(queue::cancel_job(&mut conn, &testing::person("alice"), second).unwrap(), 1);
    assert_eq!([first, second, third].map(|job| state(&mut conn, job)), ["pending", "cancelled", "cancelled"]);
    assert_sound(&mut conn);
}
