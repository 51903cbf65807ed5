//! The same verbs at the same time. Whoever comes first wins, nobody fails, and the database stays sound.

use std::{collections::HashSet, sync::Barrier, thread};

use diesel::PgConnection;
use farm_api::hub::Renew;
use farm_db::{
    DbError, Result, queue,
    testing::{self, TestBuilder},
};
use farm_testing::TestDb;
use farm_types::{JobId, LeaseKey, Outcome};

use crate::support::{PLATFORM, assert_sound, database, end_backoffs, expire_leases, state, text};

/// How often each race is run.
const ROUNDS: usize = 25;

#[test]
fn eight_claimers_share_two_hundred_tasks_and_none_is_claimed_twice() {
    let (db, mut conn) = database();
    for _ in 0..200 {
        testing::accepted(&mut conn, &[PLATFORM]);
    }
    let builders: Vec<_> = (0..8).map(|n| testing::builder(&mut conn, &format!("b{n}"))).collect();
    let claimed: Vec<LeaseKey> = thread::scope(|scope| {
        let claim = |builder: TestBuilder| {
            let mut conn = db.connect();
            let mut mine = Vec::new();
            // Others may hold all that it looks at for a moment, so nothing is no proof that there is nothing.
            while text(&mut conn, "SELECT count(*)::text AS text FROM farm.ready") != "0" {
                mine.extend(builder.claim(&mut conn, 3));
            }
            mine
        };
        let threads: Vec<_> = builders.iter().map(|builder| scope.spawn(move || claim(*builder))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(claimed.len(), 200);
    assert_eq!(claimed.iter().map(|key| key.task).collect::<HashSet<_>>().len(), 200);
    assert_sound(&mut conn);
}

/// One side of a race over a leased task.
type Side = fn(&mut PgConnection, TestBuilder, JobId, &LeaseKey) -> Result<()>;

/// Runs both sides at the same moment, many times, each time on a new leased task. Nobody may fail in another way than by
/// losing, and what comes out must be one of the given states.
fn race(one: Side, other: Side, ends: &[&str]) {
    let (db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let (mut left, mut right) = (db.connect(), db.connect());
    for _ in 0..ROUNDS {
        let job = testing::accepted(&mut conn, &[PLATFORM]);
        let key = builder.claim_one(&mut conn);
        let start = Barrier::new(2);
        let run = |side: Side, conn: &mut PgConnection| {
            start.wait();
            match side(conn, builder, job, &key) {
                Ok(()) | Err(DbError::LeaseLost(_)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| run(one, &mut left));
            scope.spawn(|| run(other, &mut right));
        });
        let end = state(&mut conn, job);
        assert!(ends.contains(&&*end), "{end}");
        assert_sound(&mut conn);
        queue::cancel_job(&mut conn, &testing::operator(), job).unwrap();
    }
}

fn finish(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    builder.finish(conn, key, Outcome::Succeeded)
}

fn spoil(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    builder.finish(conn, key, Outcome::FarmFault)
}

fn release(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    queue::release(conn, builder.id, key, "shutting down")
}

fn cancel(conn: &mut PgConnection, _: TestBuilder, job: JobId, _: &LeaseKey) -> Result<()> {
    queue::cancel_job(conn, &testing::person("alice"), job).map(drop)
}

fn reap(conn: &mut PgConnection, _: TestBuilder, _: JobId, _: &LeaseKey) -> Result<()> {
    // Whatever the grace is, this lease is beyond it.
    queue::reap(conn, 0).map(drop)
}

fn expire_and_reap(conn: &mut PgConnection, builder: TestBuilder, job: JobId, key: &LeaseKey) -> Result<()> {
    expire_leases(conn);
    reap(conn, builder, job, key)
}

fn renew(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    let renew = Renew { instance: builder.instance, leases: vec![*key], wait_seconds: 0 };
    queue::renew(conn, builder.id, &renew, 60).map(drop)
}

fn claim(conn: &mut PgConnection, builder: TestBuilder, _: JobId, _: &LeaseKey) -> Result<()> {
    builder.claim(conn, 1);
    Ok(())
}

#[test]
fn finish_against_cancel() {
    race(finish, cancel, &["succeeded", "cancelled"]);
}

#[test]
fn finish_against_reap() {
    race(finish, expire_and_reap, &["succeeded", "pending"]);
}

#[test]
fn a_fault_against_cancel() {
    race(spoil, cancel, &["pending", "cancelled"]);
}

#[test]
fn cancel_against_reap() {
    race(cancel, expire_and_reap, &["cancelled"]);
}

#[test]
fn release_against_cancel() {
    race(release, cancel, &["cancelled"]);
}

#[test]
fn finish_against_finish() {
    race(finish, finish, &["succeeded"]);
}

#[test]
fn renew_against_reap() {
    race(renew, expire_and_reap, &["leased", "pending"]);
}

#[test]
fn release_and_claim_against_cancel() {
    fn release_and_claim(conn: &mut PgConnection, builder: TestBuilder, job: JobId, key: &LeaseKey) -> Result<()> {
        release(conn, builder, job, key)?;
        claim(conn, builder, job, key)
    }
    race(release_and_claim, cancel, &["cancelled"]);
}

/// What is done on a connection of its own.
type Part<'a> = Box<dyn FnOnce(&mut PgConnection) + Send + 'a>;

/// Runs these at the same moment.
fn together(db: &TestDb, parts: Vec<Part<'_>>) {
    let start = Barrier::new(parts.len());
    thread::scope(|scope| {
        for part in parts {
            let (start, mut conn) = (&start, db.connect());
            scope.spawn(move || {
                start.wait();
                part(&mut conn);
            });
        }
    });
}

#[test]
fn a_claim_of_the_old_life_against_the_hello_of_the_new_one_leaves_no_lease_behind() {
    let (db, mut conn) = database();
    let mut builder = testing::builder(&mut conn, "one");
    for _ in 0..ROUNDS {
        let job = testing::accepted(&mut conn, &[PLATFORM]);
        let (before, id) = (builder.instance, builder.id);
        together(
            &db,
            vec![
                Box::new(move |conn| match queue::claim(conn, id, before, 1, 60) {
                    Ok(_) | Err(DbError::Conflict(_)) => {}
                    Err(error) => panic!("{error}"),
                }),
                Box::new(|conn| builder = builder.restarted(conn)),
            ],
        );
        assert_eq!(state(&mut conn, job), "pending");
        assert_sound(&mut conn);
        queue::cancel_job(&mut conn, &testing::operator(), job).unwrap();
    }
}

#[test]
fn the_last_two_tasks_of_a_job_that_end_together_let_the_next_job_go() {
    let (db, mut conn) = database();
    testing::platform(&mut conn, "b-x86_64");
    let builder = testing::builder(&mut conn, "one");
    for _ in 0..ROUNDS {
        let first = testing::accepted(&mut conn, &[PLATFORM, "b-x86_64"]);
        let second = testing::submitted(&mut conn, Some(first));
        testing::accept(&mut conn, second, &[PLATFORM]);
        let keys = builder.claim(&mut conn, 2);
        let parts = keys
            .iter()
            .map(|key| -> Part<'_> { Box::new(|conn| builder.finish(conn, key, Outcome::Succeeded).unwrap()) });
        together(&db, parts.collect());
        assert_eq!(state(&mut conn, second), "pending");
        assert_sound(&mut conn);
        queue::cancel_job(&mut conn, &testing::operator(), second).unwrap();
    }
}

#[test]
fn a_predecessor_that_ends_while_the_next_job_is_accepted_lets_it_go_all_the_same() {
    let (db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    for round in 0..ROUNDS {
        let outcome = if round % 2 == 0 { Outcome::Succeeded } else { Outcome::Failed };
        let first = testing::accepted(&mut conn, &[PLATFORM]);
        let second = testing::submitted(&mut conn, Some(first));
        let key = builder.claim_one(&mut conn);
        together(
            &db,
            vec![
                Box::new(move |conn| builder.finish(conn, &key, outcome).unwrap()),
                Box::new(move |conn| testing::accept(conn, second, &[PLATFORM])),
            ],
        );
        let expected = if outcome == Outcome::Succeeded { "pending" } else { "cancelled" };
        assert_eq!(state(&mut conn, second), expected);
        assert_sound(&mut conn);
        queue::cancel_job(&mut conn, &testing::operator(), second).unwrap();
    }
}

#[test]
fn a_whole_job_cancelled_while_its_tasks_end_never_waits_in_a_circle() {
    let (db, mut conn) = database();
    let platforms = ["a-x86_64", "b-x86_64", "c-x86_64", "d-x86_64"];
    for name in platforms {
        testing::platform(&mut conn, name);
    }
    let builder = testing::builder(&mut conn, "one");
    for _ in 0..ROUNDS {
        let job = testing::accepted(&mut conn, &platforms);
        let keys = builder.claim(&mut conn, 4);
        let mut parts: Vec<Part<'_>> = Vec::new();
        parts.push(Box::new(move |conn| assert!(queue::cancel_job(conn, &testing::person("alice"), job).is_ok())));
        parts.push(Box::new({
            let keys = keys.clone();
            move |conn| {
                let leases = keys.into_iter().rev().collect();
                let renew = Renew { instance: builder.instance, leases, wait_seconds: 0 };
                queue::renew(conn, builder.id, &renew, 60).unwrap();
            }
        }));
        for key in keys {
            parts.push(Box::new(move |conn| match builder.finish(conn, &key, Outcome::Succeeded) {
                Ok(()) | Err(DbError::LeaseLost(_)) => {}
                Err(error) => panic!("{error}"),
            }));
        }
        together(&db, parts);
        assert_sound(&mut conn);
    }
}

#[test]
fn anything_at_any_time_leaves_the_database_sound() {
    let (db, mut conn) = database();
    testing::platform(&mut conn, "b-x86_64");
    let builders: Vec<_> = (0..4).map(|n| testing::builder(&mut conn, &format!("b{n}"))).collect();
    let parts = (0..8_u64).map(|seed| -> Part<'_> {
        let builder = builders[seed as usize % builders.len()];
        Box::new(move |conn| storm(conn, builder, seed))
    });
    together(&db, parts.collect());
    assert_sound(&mut conn);
}

/// A hundred verbs as chance has it.
fn storm(conn: &mut PgConnection, builder: TestBuilder, seed: u64) {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut held: Vec<LeaseKey> = Vec::new();
    let mut jobs: Vec<JobId> = Vec::new();
    for _ in 0..100 {
        let outcome = [Outcome::Succeeded, Outcome::Failed, Outcome::FarmFault][next(3) as usize];
        let key = (!held.is_empty()).then(|| held[next(held.len() as u64) as usize]);
        let job = (!jobs.is_empty()).then(|| jobs[next(jobs.len() as u64) as usize]);
        let done = match (next(10), key, job) {
            (0..=2, _, after) => {
                let job = testing::submitted(conn, after.filter(|_| next(2) == 0));
                testing::accept(conn, job, &[PLATFORM, "b-x86_64"]);
                jobs.push(job);
                Ok(())
            }
            (3..=5, _, _) => queue::claim(conn, builder.id, builder.instance, 2, 60)
                .map(|claimed| held.extend(claimed.into_iter().map(|task| task.key))),
            (6, Some(key), _) => builder.finish(conn, &key, outcome),
            (7, Some(key), _) => queue::release(conn, builder.id, &key, "chance"),
            (8, _, Some(job)) if next(3) == 0 => queue::cancel_job(conn, &testing::operator(), job).map(drop),
            (8, _, Some(job)) => match queue::retry_job(conn, &testing::operator(), job, false) {
                // The job before it did not succeed, or what is left of it was set aside.
                Err(DbError::Conflict(_)) => Ok(()),
                done => done.map(drop),
            },
            (9, _, _) if next(4) == 0 => {
                expire_leases(conn);
                queue::reap(conn, 0).map(drop)
            }
            _ => {
                end_backoffs(conn);
                let renew = Renew { instance: builder.instance, leases: held.clone(), wait_seconds: 0 };
                queue::renew(conn, builder.id, &renew, 60).map(drop)
            }
        };
        match done {
            Ok(()) | Err(DbError::LeaseLost(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
