//! Faults of the farm and builders that go away: tried elsewhere, three times at the most.

use diesel::PgConnection;
use farm_db::{
    queue,
    testing::{self, TestBuilder},
};
use farm_types::Outcome;

use crate::support::{PLATFORM, assert_sound, database, end_backoffs, execute, expire_leases, state, text};

fn spoil(conn: &mut PgConnection, builder: TestBuilder) {
    let key = builder.claim_one(conn);
    builder.finish(conn, &key, Outcome::FarmFault).unwrap();
    end_backoffs(conn);
}

fn lose(conn: &mut PgConnection, builder: TestBuilder) {
    builder.claim_one(conn);
    expire_leases(conn);
    assert_eq!(queue::reap(conn, 0).unwrap(), 1);
}

#[test]
fn three_faults_of_the_farm_fail_the_task_with_the_farms_cause() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "only");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    for left in ["pending", "pending", "failed"] {
        spoil(&mut conn, builder);
        assert_eq!(state(&mut conn, job), left);
        assert_sound(&mut conn);
    }
    assert_eq!(text(&mut conn, "SELECT cause::text AS text FROM farm.task"), "internal");
    let message = text(&mut conn, "SELECT message AS text FROM farm.task");
    assert!(message.starts_with("given up after three attempts that the farm spoilt"), "{message}");
}

#[test]
fn lost_builders_are_counted_apart_from_faults_and_released_tasks_not_at_all() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "only");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    for _ in 0..5 {
        let key = builder.claim_one(&mut conn);
        queue::release(&mut conn, builder.id, &key, "shutting down").unwrap();
    }
    for _ in 0..2 {
        lose(&mut conn, builder);
        spoil(&mut conn, builder);
    }
    assert_eq!(text(&mut conn, "SELECT format('%s %s', faults, lost) AS text FROM farm.task"), "2 2");
    lose(&mut conn, builder);
    assert_eq!(state(&mut conn, job), "failed");
    assert_eq!(text(&mut conn, "SELECT cause::text AS text FROM farm.task"), "builder_lost");
    assert_sound(&mut conn);
}

#[test]
fn after_a_fault_the_next_try_waits_and_ever_longer() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "only");
    testing::accepted(&mut conn, &[PLATFORM]);
    for seconds in ["5", "20"] {
        let key = builder.claim_one(&mut conn);
        builder.finish(&mut conn, &key, Outcome::FarmFault).unwrap();
        assert!(builder.claim(&mut conn, 1).is_empty());
        let wait = "SELECT round(extract(epoch FROM not_before - now()))::text AS text FROM farm.ready";
        assert_eq!(text(&mut conn, wait), seconds);
        end_backoffs(&mut conn);
    }
}

#[test]
fn who_spoilt_a_task_is_not_given_it_again_while_there_is_another() {
    let (_db, mut conn) = database();
    let (first, second) = (testing::builder(&mut conn, "first"), testing::builder(&mut conn, "second"));
    testing::accepted(&mut conn, &[PLATFORM]);
    spoil(&mut conn, first);
    assert!(first.claim(&mut conn, 1).is_empty());
    // Both have spoilt it now, so the list is lifted: better one of them than nobody.
    spoil(&mut conn, second);
    assert_eq!(first.claim(&mut conn, 1).len(), 1);
}

#[test]
fn who_spoilt_a_task_is_given_it_again_when_nobody_took_it_for_two_minutes() {
    let (_db, mut conn) = database();
    let (first, _busy) = (testing::builder(&mut conn, "first"), testing::builder(&mut conn, "busy"));
    testing::accepted(&mut conn, &[PLATFORM]);
    spoil(&mut conn, first);
    assert!(first.claim(&mut conn, 1).is_empty());
    execute(&mut conn, "UPDATE farm.ready SET not_before = now() - interval '121 seconds'");
    assert_eq!(first.claim(&mut conn, 1).len(), 1);
}

#[test]
fn a_silent_builder_is_no_alternative() {
    let (_db, mut conn) = database();
    let (first, _silent) = (testing::builder(&mut conn, "first"), testing::builder(&mut conn, "silent"));
    execute(&mut conn, "UPDATE farm.builder SET last_seen_at = now() - interval '1 hour' WHERE name = 'silent'");
    testing::accepted(&mut conn, &[PLATFORM]);
    spoil(&mut conn, first);
    assert_eq!(first.claim(&mut conn, 1).len(), 1);
}

#[test]
fn a_retry_starts_counting_anew_and_goes_on_with_the_next_attempt() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "only");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    for _ in 0..3 {
        spoil(&mut conn, builder);
    }
    assert_eq!(queue::retry_job(&mut conn, &testing::operator(), job, true).unwrap(), 1);
    let key = builder.claim_one(&mut conn);
    assert_eq!(key.attempt.0, 4);
    builder.finish(&mut conn, &key, Outcome::Succeeded).unwrap();
    assert_eq!(queue::retry_job(&mut conn, &testing::operator(), job, false).unwrap(), 0);
    assert_sound(&mut conn);
}

#[test]
fn a_builder_without_work_shows_itself_by_claiming() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "idle");
    execute(&mut conn, "UPDATE farm.builder SET last_seen_at = now() - interval '1 hour'");
    assert!(builder.claim(&mut conn, 1).is_empty());
    assert_eq!(text(&mut conn, "SELECT alive::text AS text FROM farm.builder_view"), "true");
}
