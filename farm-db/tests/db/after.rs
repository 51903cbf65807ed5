//! Jobs that come after others.

use diesel::PgConnection;
use farm_db::{
    chores,
    intake::{self, Decision, Submission},
    operator, queue,
    testing::{self, TestBuilder},
};
use farm_types::{JobId, Outcome};

use crate::support::{PLATFORM, assert_sound, database, execute, state, text};

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
    let why = |conn: &mut PgConnection, job| {
        text(conn, &format!("SELECT message AS text FROM farm.task WHERE job_id = {job}"))
    };
    let what_to_do =
        format!("failed on {PLATFORM} (build); `farm retry {first}` builds it again and then goes on with this one");
    assert_eq!(why(&mut conn, second), format!("job {first}, which this one comes after, {what_to_do}"));
    let by_way = format!("job {first}, which this one comes after by way of job {second}, {what_to_do}");
    assert_eq!(why(&mut conn, third), by_way);
    assert_sound(&mut conn);
}

#[test]
fn a_retry_goes_on_with_what_was_given_up_and_not_with_what_somebody_cancelled() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let first = testing::accepted(&mut conn, &[PLATFORM]);
    let second = accepted_after(&mut conn, first);
    let third = accepted_after(&mut conn, second);
    let unwanted = accepted_after(&mut conn, first);
    assert_eq!(queue::cancel_job(&mut conn, &testing::person("alice"), unwanted).unwrap(), 1);
    end_next(&mut conn, builder, Outcome::Failed);
    let refused = queue::retry_job(&mut conn, &testing::person("alice"), third, false).unwrap_err().to_string();
    assert!(refused.contains(&format!("`farm retry {second}` goes on with both")), "{refused}");

    assert_eq!(queue::retry_job(&mut conn, &testing::person("alice"), first, true).unwrap(), 1);
    assert_eq!(
        [first, second, third, unwanted].map(|job| state(&mut conn, job)),
        ["pending", "waiting", "waiting", "cancelled"]
    );
    assert_sound(&mut conn);
    for _ in 0..3 {
        end_next(&mut conn, builder, Outcome::Succeeded);
    }
    assert_eq!([first, second, third].map(|job| state(&mut conn, job)), ["succeeded"; 3]);
    assert_sound(&mut conn);
}

#[test]
fn what_was_cancelled_waits_again_while_the_job_before_it_is_built() {
    let (_db, mut conn) = database();
    let first = testing::accepted(&mut conn, &[PLATFORM]);
    let second = accepted_after(&mut conn, first);
    assert_eq!(queue::cancel_job(&mut conn, &testing::person("alice"), second).unwrap(), 1);
    assert_eq!(queue::retry_job(&mut conn, &testing::person("alice"), second, false).unwrap(), 1);
    assert_eq!(state(&mut conn, second), "waiting");
    assert_sound(&mut conn);
}

#[test]
fn a_chain_is_made_as_a_whole_or_not_at_all_and_sent_again_it_is_the_same() {
    let (_db, mut conn) = database();
    let chain = |conn: &mut PgConnection| vec![testing::submission(conn, "alice"), testing::submission(conn, "alice")];
    let mut broken = chain(&mut conn);
    broken[1].bucket = "nowhere".parse().unwrap();
    assert!(intake::submit_chain(&mut conn, broken).is_err());
    assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.job"), "0");

    let mut good = chain(&mut conn);
    let made = intake::submit_chain(&mut conn, good.clone()).unwrap();
    let [(first, true), (second, true)] = made[..] else { panic!("{made:?}") };
    let after = text(&mut conn, &format!("SELECT after_job::text AS text FROM farm.job WHERE id = {second}"));
    assert_eq!(after, first.to_string());
    good.push(testing::submission(&mut conn, "alice"));
    let again = intake::submit_chain(&mut conn, good).unwrap();
    assert_eq!(again[..2], [(first, false), (second, false)]);
    assert!(again[2].1, "what is new at its end is made");
    let links = farm_db::read::chain(&mut conn, farm_db::Viewer::ANYBODY, second).unwrap();
    assert_eq!(links.iter().map(|link| link.id).collect::<Vec<_>>(), again.iter().map(|job| job.0).collect::<Vec<_>>());
}

#[test]
fn files_stay_for_all_that_come_after_and_once_they_are_gone_nothing_can() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let first = testing::accepted(&mut conn, &[PLATFORM]);
    end_next(&mut conn, builder, Outcome::Succeeded);
    let second = accepted_after(&mut conn, first);
    end_next(&mut conn, builder, Outcome::Succeeded);
    // It has not ended, so those before it keep what they have.
    let third = testing::submitted(&mut conn, Some(second));
    execute(&mut conn, "UPDATE farm.task SET finished_at = now() - interval '1 year' WHERE finished_at IS NOT NULL");
    assert_eq!(chores::expire_files(&mut conn, 10).unwrap().jobs, 0);
    let taken = execute_error(&mut conn, &format!("SELECT farm.remove_files({first}, 'in this moment')"));
    assert!(taken.contains("a job was handed in after it in this moment"), "{taken}");
    queue::cancel_job(&mut conn, &testing::operator(), third).unwrap();
    assert_eq!(chores::expire_files(&mut conn, 10).unwrap().jobs, 2);
    let late = Submission { after: Some(second), ..testing::submission(&mut conn, "alice") };
    let refused = intake::submit(&mut conn, &late).unwrap_err().to_string();
    assert!(refused.contains(&format!("what came of job {first} is gone")), "{refused}");
    assert_sound(&mut conn);
}

#[test]
fn who_does_not_see_all_jobs_before_cannot_come_after_them() {
    let (_db, mut conn) = database();
    let hidden = "hidden".parse().unwrap();
    operator::put_bucket(&mut conn, &testing::operator(), &hidden, None, Some(false)).unwrap();
    operator::set_grant(&mut conn, &testing::operator(), &"own:hidden".parse().unwrap(), "alice", true).unwrap();
    let new = Submission { bucket: hidden, ..testing::submission(&mut conn, "alice") };
    let (first, _) = intake::submit(&mut conn, &new).unwrap();
    let second = testing::submitted(&mut conn, Some(first));
    let curious = Submission { after: Some(second), ..testing::submission(&mut conn, "bob") };
    let refused = intake::submit(&mut conn, &curious).unwrap_err().to_string();
    assert!(refused.contains(&format!("what came of job {first}")), "{refused}");
    let own = Submission { after: Some(second), ..testing::submission(&mut conn, "alice") };
    assert!(intake::submit(&mut conn, &own).unwrap().1);
}

fn execute_error(conn: &mut PgConnection, sql: &str) -> String {
    diesel::RunQueryDsl::execute(diesel::sql_query(sql), conn).unwrap_err().to_string()
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
