//! What the janitor tells of.

use diesel::{RunQueryDsl as _, connection::SimpleConnection as _, sql_query};
use farm_api::hub::Renew;
use farm_db::{
    Viewer, database, queue,
    read::{self},
    testing,
};
use farm_janitor::chores::{builders, database as health, invariants, overdue, undecided};
use farm_types::{Cause, Outcome, TaskState};

use crate::support::Farm;

#[tokio::test]
async fn a_builder_that_renews_for_ever_does_not_hold_a_task_for_ever() {
    let mut farm = Farm::new();
    let (builder, key) = farm.leased();
    farm.pass("UPDATE farm.attempt SET started_at = now() - interval '7 hours 59 minutes'");
    assert_eq!(overdue::run_once(farm.tools.clone()).await.unwrap().done, 0, "its grace is not over");
    farm.pass("UPDATE farm.attempt SET started_at = now() - interval '8 hours 1 minute'");
    let renew = Renew { instance: builder.instance, leases: vec![key], wait_seconds: 0 };
    assert!(queue::renew(&mut farm.conn, builder.id, &renew, 60).unwrap().is_empty(), "it holds the lease");

    farm.pass(
        "INSERT INTO farm.hub_pulse VALUES (true, now() - interval '5 minutes', now() - interval '1 day', '60 seconds')",
    );
    assert_eq!(overdue::run_once(farm.tools.clone()).await.unwrap().done, 0, "no hub is there to hand anything in to");
    farm.pass("UPDATE farm.hub_pulse SET at = now()");
    let report = overdue::run_once(farm.tools.clone()).await.unwrap();
    assert_eq!((report.done, report.alarms.len()), (1, 1));
    let gone = queue::renew(&mut farm.conn, builder.id, &renew, 60).unwrap();
    assert_eq!(gone[0].outcome, Outcome::Lost, "the builder is told");
    let task = read::task(&mut farm.conn, Viewer::ANYBODY, key.task).unwrap();
    assert_eq!(task.state, TaskState::Pending);
    assert_eq!((task.attempts[0].outcome, task.attempts[0].cause), (Some(Outcome::Lost), Some(Cause::Timeout)));
    farm.assert_sound();
}

#[tokio::test]
async fn a_builder_that_vanished_is_marked_until_it_comes_back() {
    let mut farm = Farm::new();
    let (builder, _) = farm.leased();
    let gone =
        |farm: &mut Farm| read::builders(&mut farm.db.connect_as("farm_web"), Viewer::ANYBODY, None).unwrap()[0].gone;
    assert_eq!(builders::run_once(farm.tools.clone()).await.unwrap().done, 0);
    farm.pass("UPDATE farm.builder SET last_seen_at = now() - interval '11 minutes'");
    assert_eq!(builders::run_once(farm.tools.clone()).await.unwrap().done, 1);
    assert!(gone(&mut farm).is_some());
    assert_eq!(builders::run_once(farm.tools.clone()).await.unwrap().done, 0, "it is marked once");
    builder.says_hello(&mut farm.conn);
    assert!(gone(&mut farm).is_none(), "it is there again");
    assert_eq!(builders::run_once(farm.tools.clone()).await.unwrap().done, 1);
}

#[tokio::test]
async fn a_job_that_no_validator_decides_on_is_told_of_and_left_alone() {
    let mut farm = Farm::new();
    let job = testing::submitted(&mut farm.conn, None);
    assert!(undecided::run_once(farm.tools.clone()).await.unwrap().alarms.is_empty());
    farm.pass(
        "UPDATE farm.job SET submitted_at = now() - interval '6 minutes', next_try_at = now() - interval '6 minutes'",
    );
    let alarms = undecided::run_once(farm.tools.clone()).await.unwrap().alarms;
    assert_eq!(alarms.len(), 1);
    assert!(alarms[0].starts_with(&format!("job {job} waits for a decision for 36")), "{alarms:?}");
    assert!(alarms[0].contains("no validator has looked at it"), "{alarms:?}");
    let left = sql_query("SELECT FROM farm.job WHERE state = 'submitted'").execute(&mut farm.conn).unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn what_does_not_fit_together_is_told_of_by_the_janitor_with_its_own_rights() {
    let mut farm = Farm::new();
    farm.leased();
    assert!(invariants::run_once(farm.tools.clone()).await.unwrap().alarms.is_empty());
    farm.pass("UPDATE farm.lease SET token = gen_random_uuid()");
    let alarms = invariants::run_once(farm.tools.clone()).await.unwrap().alarms;
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].contains("with builder and token of the lease: not so for task 1"), "{alarms:?}");
}

#[tokio::test]
async fn an_open_transaction_of_somebody_else_is_seen_with_who_it_is() {
    let mut farm = Farm::new();
    let mut other = farm.db.connect_as("farm_readonly");
    other.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM farm.platform").unwrap();
    let mut found = database::look(&mut farm.db.connect_as("farm_janitor")).unwrap();
    let seen = found.snapshots.iter_mut().find(|snapshot| snapshot.who.contains("of farm_readonly")).unwrap();
    seen.seconds = 3600;
    assert!(found.alarms()[0].starts_with("a transaction is open for 3600 seconds"), "{:?}", found.alarms());
    assert!(found.alarms()[0].contains("of farm_readonly"), "{:?}", found.alarms());
    farm.leased();
    assert_eq!(database::look(&mut farm.conn).unwrap().queue.leased, 1);
    health::run_once(farm.tools.clone()).await.unwrap();
}

#[tokio::test]
async fn an_index_that_is_not_valid_is_told_of() {
    let farm = Farm::new();
    farm.pass("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'farm.job_after'::regclass");
    let alarms = health::run_once(farm.tools.clone()).await.unwrap().alarms;
    assert_eq!(alarms, ["index job_after is not valid: REINDEX or drop it"]);
}
