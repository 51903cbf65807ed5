//! Every verb on a task in every state.

use diesel::PgConnection;
use farm_api::hub::Renew;
use farm_db::{
    DbError, Result, queue,
    testing::{self, TestBuilder},
};
use farm_types::{AttemptNumber, JobId, LeaseKey, LeaseToken, Outcome, Stage, TaskState};
use uuid::Uuid;

use crate::support::{PLATFORM, assert_sound, database, end_backoffs, expire_leases, state, task_of};

type Verb = fn(&mut PgConnection, TestBuilder, JobId, &LeaseKey) -> Result<()>;

/// What becomes of a task in each state (waiting, pending, leased, succeeded, failed, cancelled). `lost`: the verb is
/// refused because the lease is gone, and nothing changes.
#[rustfmt::skip]
const TABLE: &[(&str, Verb, [&str; 6])] = &[
    ("claim",              claim,     ["waiting",   "leased",    "leased",    "succeeded", "failed",  "cancelled"]),
    ("finish: succeeded",  succeed,   ["lost",      "lost",      "succeeded", "succeeded", "lost",    "lost"]),
    ("finish: failed",     fail,      ["lost",      "lost",      "failed",    "lost",      "failed",  "lost"]),
    ("finish: farm_fault", fault,     ["lost",      "lost",      "pending",   "lost",      "lost",    "lost"]),
    ("release",            release,   ["lost",      "lost",      "pending",   "lost",      "lost",    "lost"]),
    ("stage",              stage,     ["lost",      "lost",      "leased",    "lost",      "lost",    "lost"]),
    ("log",                log,       ["lost",      "lost",      "leased",    "lost",      "lost",    "lost"]),
    ("renew",              renew,     ["lost",      "lost",      "leased",    "lost",      "lost",    "lost"]),
    ("reap, still good",   reap,      ["waiting",   "pending",   "leased",    "succeeded", "failed",  "cancelled"]),
    ("reap, expired",      expire,    ["waiting",   "pending",   "pending",   "succeeded", "failed",  "cancelled"]),
    ("hello, same life",   hello,     ["waiting",   "pending",   "leased",    "succeeded", "failed",  "cancelled"]),
    ("hello, new life",    restart,   ["waiting",   "pending",   "pending",   "succeeded", "failed",  "cancelled"]),
    ("cancel",             cancel,    ["cancelled", "cancelled", "cancelled", "succeeded", "failed",  "cancelled"]),
    ("retry the failed",   retry,     ["waiting",   "pending",   "leased",    "succeeded", "pending", "cancelled"]),
    ("retry all",          retry_all, ["waiting",   "pending",   "leased",    "succeeded", "pending", "pending"]),
];

#[test]
fn every_verb_does_to_a_task_in_every_state_what_the_table_says() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    for (name, verb, expected) in TABLE {
        for (before, expected) in TaskState::ALL.iter().zip(expected) {
            let (job, key) = task_in(&mut conn, builder, *before);
            assert_eq!(state(&mut conn, job), before.as_str(), "the test itself");
            let answer = verb(&mut conn, builder, job, &key);
            let after = state(&mut conn, job);
            match (*expected, answer) {
                ("lost", Err(DbError::LeaseLost(_))) => assert_eq!(after, before.as_str(), "{name} on {before}"),
                ("lost", other) => panic!("{name} on {before} was not refused: {other:?}"),
                (expected, answer) => {
                    answer.unwrap_or_else(|error| panic!("{name} on {before}: {error}"));
                    assert_eq!(after, expected, "{name} on {before}");
                }
            }
            assert_sound(&mut conn);
            // Nothing of it is in the way of the next one.
            queue::cancel_job(&mut conn, &testing::operator(), job).unwrap();
        }
    }
}

/// A task in that state, with the lease of its latest attempt (or a made-up one, if it had none).
fn task_in(conn: &mut PgConnection, builder: TestBuilder, state: TaskState) -> (JobId, LeaseKey) {
    let after = (state == TaskState::Waiting).then(|| testing::submitted(conn, None));
    let job = testing::submitted(conn, after);
    testing::accept(conn, job, &[PLATFORM]);
    if matches!(state, TaskState::Waiting | TaskState::Pending) {
        let token = LeaseToken(Uuid::new_v4());
        return (job, LeaseKey { task: task_of(conn, job), attempt: AttemptNumber(1), token });
    }
    let key = builder.claim_one(conn);
    match state {
        TaskState::Succeeded => builder.finish(conn, &key, Outcome::Succeeded).unwrap(),
        TaskState::Failed => builder.finish(conn, &key, Outcome::Failed).unwrap(),
        TaskState::Cancelled => assert_eq!(queue::cancel_job(conn, &testing::person("alice"), job).unwrap(), 1),
        _ => {}
    }
    (job, key)
}

fn claim(conn: &mut PgConnection, builder: TestBuilder, _: JobId, _: &LeaseKey) -> Result<()> {
    builder.claim(conn, 10);
    Ok(())
}

fn succeed(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    builder.finish(conn, key, Outcome::Succeeded)
}

fn fail(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    builder.finish(conn, key, Outcome::Failed)
}

fn fault(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    builder.finish(conn, key, Outcome::FarmFault)?;
    end_backoffs(conn);
    Ok(())
}

fn release(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    queue::release(conn, builder.id, key, "shutting down")
}

fn stage(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    queue::stage_began(conn, builder.id, key, Stage::Build)
}

fn log(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    queue::append_log(conn, builder.id, key, 0, 3, b"abc").map(|next| assert_eq!(next, 3))
}

fn renew(conn: &mut PgConnection, builder: TestBuilder, _: JobId, key: &LeaseKey) -> Result<()> {
    let renew = Renew { instance: builder.instance, leases: vec![*key], wait_seconds: 0 };
    match queue::renew(conn, builder.id, &renew, 60)?.pop() {
        None => Ok(()),
        Some(gone) => Err(DbError::LeaseLost(gone.outcome.to_string())),
    }
}

fn reap(conn: &mut PgConnection, _: TestBuilder, _: JobId, _: &LeaseKey) -> Result<()> {
    queue::reap(conn, 0).map(|reaped| assert_eq!(reaped, 0))
}

fn expire(conn: &mut PgConnection, _: TestBuilder, _: JobId, _: &LeaseKey) -> Result<()> {
    expire_leases(conn);
    queue::reap(conn, 0).map(drop)
}

fn hello(conn: &mut PgConnection, builder: TestBuilder, _: JobId, _: &LeaseKey) -> Result<()> {
    builder.says_hello(conn);
    Ok(())
}

fn restart(conn: &mut PgConnection, builder: TestBuilder, _: JobId, _: &LeaseKey) -> Result<()> {
    builder.restarted(conn);
    // The test goes on with the life that it knows; whatever it holds is its own again.
    builder.says_hello(conn);
    Ok(())
}

fn cancel(conn: &mut PgConnection, _: TestBuilder, job: JobId, _: &LeaseKey) -> Result<()> {
    queue::cancel_job(conn, &testing::person("alice"), job).map(drop)
}

fn retry(conn: &mut PgConnection, _: TestBuilder, job: JobId, _: &LeaseKey) -> Result<()> {
    queue::retry_job(conn, &testing::operator(), job, true).map(drop)
}

fn retry_all(conn: &mut PgConnection, _: TestBuilder, job: JobId, _: &LeaseKey) -> Result<()> {
    queue::retry_job(conn, &testing::operator(), job, false).map(drop)
}
