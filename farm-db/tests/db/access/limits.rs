//! What a person may use up.

use diesel::PgConnection;
use farm_api::access::Limits;
use farm_db::{
    DbError, Result, access, blobs,
    intake::{self, Submission},
    operator, queue, testing,
};
use farm_types::{Digest, JobId};

use crate::support::{PLATFORM, database};

const ALICE: &str = "alice";

fn limit(conn: &mut PgConnection, whose: Option<&str>, limits: Limits) {
    operator::put_limits(conn, &testing::operator(), whose, &limits).unwrap();
}

fn jobs(number: i64) -> Limits {
    Limits { jobs_waiting: Some(number), ..Limits::default() }
}

fn submit(conn: &mut PgConnection) -> Result<JobId> {
    let new = testing::submission(conn, ALICE);
    intake::submit(conn, &new).map(|(job, _)| job)
}

fn begin(conn: &mut PgConnection, digest: &Digest, size: u64) -> Result<uuid::Uuid> {
    blobs::begin_upload(conn, &testing::person(ALICE), digest, size)
}

fn end(conn: &mut PgConnection, upload: uuid::Uuid) {
    blobs::end_upload(conn, &testing::person(ALICE), upload).unwrap();
}

/// It is refused, for these limits and no others.
#[track_caller]
fn assert_over<T: std::fmt::Debug>(answer: Result<T>, limits: &str) {
    match answer.unwrap_err() {
        DbError::Limit(why) => assert!(why.contains(&format!("({limits});")), "{why}"),
        other => panic!("{other}"),
    }
}

#[test]
fn jobs_that_wait_are_refused_beyond_their_number_and_not_before() {
    let (_db, mut conn) = database();
    limit(&mut conn, None, jobs(2));
    let first = submit(&mut conn).unwrap();
    submit(&mut conn).unwrap();
    assert_over(submit(&mut conn), "jobs_waiting: 3 of at most 2");
    let of_bob = testing::submission(&mut conn, "bob");
    intake::submit(&mut conn, &of_bob).unwrap();
    queue::cancel_job(&mut conn, &testing::person(ALICE), first).unwrap();
    submit(&mut conn).unwrap();
    assert_over(submit(&mut conn), "jobs_waiting: 3 of at most 2");
}

#[test]
fn a_job_counts_until_its_last_task_has_ended() {
    let (_db, mut conn) = database();
    testing::platform(&mut conn, "b-x86_64");
    limit(&mut conn, None, jobs(1));
    let job = submit(&mut conn).unwrap();
    testing::accept(&mut conn, job, &[PLATFORM, "b-x86_64"]);
    let builder = testing::builder(&mut conn, "one");
    for _ in 0..2 {
        assert_over(submit(&mut conn), "jobs_waiting: 2 of at most 1");
        let key = builder.claim_one(&mut conn);
        builder.finish(&mut conn, &key, farm_types::Outcome::Failed).unwrap();
    }
    submit(&mut conn).unwrap();
}

#[test]
fn uploads_under_way_are_refused_beyond_their_number_and_not_before() {
    let (_db, mut conn) = database();
    limit(&mut conn, None, Limits { uploads: Some(2), ..Limits::default() });
    let (one, two, three) = (testing::digest(), testing::digest(), testing::digest());
    let first = begin(&mut conn, &one, 1).unwrap();
    begin(&mut conn, &two, 1).unwrap();
    assert_over(begin(&mut conn, &three, 1), "uploads: 3 of at most 2");
    assert_eq!(begin(&mut conn, &one, 1).unwrap(), first, "begun before");
    end(&mut conn, first);
    begin(&mut conn, &three, 1).unwrap();
}

#[test]
fn bytes_are_refused_beyond_their_number_and_not_before_wherever_they_are_kept() {
    let (_db, mut conn) = database();
    limit(&mut conn, None, Limits { bytes: Some(100), ..Limits::default() });
    let (one, two, three) = (testing::digest(), testing::digest(), testing::digest());
    let first = begin(&mut conn, &one, 60).unwrap();
    assert_over(begin(&mut conn, &two, 41), "bytes: 101 of at most 100");
    // It is there, and in no job yet.
    end(&mut conn, first);
    assert_over(begin(&mut conn, &two, 41), "bytes: 101 of at most 100");
    let new = testing::submission(&mut conn, "bob");
    let new = Submission { actor: testing::person(ALICE), sources: vec![("a.src.rpm".to_owned(), one)], ..new };
    intake::submit(&mut conn, &new).unwrap();
    assert_over(begin(&mut conn, &two, 41), "bytes: 101 of at most 100");
    let second = begin(&mut conn, &two, 40).unwrap();
    end(&mut conn, second);
    assert_over(begin(&mut conn, &three, 1), "bytes: 101 of at most 100");
    assert_eq!(access::account(&mut conn, ALICE).unwrap().used.bytes, Some(100));
}

#[test]
fn sources_of_a_job_are_refused_beyond_their_number_and_not_before() {
    let (_db, mut conn) = database();
    limit(&mut conn, None, Limits { sources: Some(2), ..Limits::default() });
    let mut new = testing::submission(&mut conn, ALICE);
    for n in 2..=3 {
        let digest = testing::digest();
        testing::brought(&mut conn, ALICE, &digest, 1);
        new.sources.push((format!("{n}.src.rpm"), digest));
    }
    assert_over(intake::submit(&mut conn, &new), "sources: 3 of at most 2");
    new.sources.pop();
    intake::submit(&mut conn, &new).unwrap();
}

#[test]
fn a_refusal_names_every_limit_that_is_in_the_way() {
    let (_db, mut conn) = database();
    let new = testing::submission(&mut conn, ALICE);
    let none = Limits { jobs_waiting: Some(0), uploads: Some(0), bytes: Some(0), sources: Some(0) };
    limit(&mut conn, Some(ALICE), none);
    assert_over(
        intake::submit(&mut conn, &new),
        "jobs_waiting: 1 of at most 0; bytes: 1 of at most 0; sources: 1 of at most 0",
    );
    assert_over(begin(&mut conn, &testing::digest(), 7), "uploads: 1 of at most 0; bytes: 8 of at most 0");
}

#[test]
fn the_own_limit_holds_and_not_that_of_everybody() {
    let (_db, mut conn) = database();
    limit(&mut conn, None, jobs(1));
    submit(&mut conn).unwrap();
    limit(&mut conn, Some(ALICE), jobs(2));
    submit(&mut conn).unwrap();
    assert_over(submit(&mut conn), "jobs_waiting: 3 of at most 2");
    limit(&mut conn, None, jobs(9));
    assert_over(submit(&mut conn), "jobs_waiting: 3 of at most 2");
    limit(&mut conn, Some(ALICE), Limits::default());
    submit(&mut conn).unwrap();
}

#[test]
fn a_request_that_is_sent_again_is_never_refused_for_a_limit() {
    let (_db, mut conn) = database();
    let new = testing::submission(&mut conn, ALICE);
    let job = intake::submit(&mut conn, &new).unwrap().0;
    limit(&mut conn, None, Limits { jobs_waiting: Some(0), sources: Some(0), ..Limits::default() });
    assert_eq!(intake::submit(&mut conn, &new).unwrap(), (job, false));
    assert_over(submit(&mut conn), "jobs_waiting: 2 of at most 0; sources: 1 of at most 0");
}

#[test]
fn a_limit_holds_for_requests_that_come_at_the_same_time_too() {
    let (db, mut conn) = database();
    limit(&mut conn, None, Limits { jobs_waiting: Some(3), uploads: Some(3), ..Limits::default() });
    let new: Vec<_> = (0..16).map(|_| testing::submission(&mut conn, ALICE)).collect();
    let start = std::sync::Barrier::new(new.len());
    let at_once = |new: &Submission| {
        let mut conn = db.connect();
        start.wait();
        let digest = testing::digest();
        (intake::submit(&mut conn, new), begin(&mut conn, &digest, 1))
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = new.iter().map(|new| scope.spawn(|| at_once(new))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (submitted, begun) in answers.iter().filter(|(one, other)| one.is_err() || other.is_err()) {
        let refusals = [submitted.as_ref().err(), begun.as_ref().err()];
        assert!(refusals.into_iter().flatten().all(|error| matches!(error, DbError::Limit(_))), "{refusals:?}");
    }
    assert_eq!(answers.iter().filter(|(submitted, _)| submitted.is_ok()).count(), 3);
    assert_eq!(answers.iter().filter(|(_, begun)| begun.is_ok()).count(), 3);
}

#[test]
fn the_same_request_twice_at_the_same_time_takes_one_place() {
    let (db, mut conn) = database();
    limit(&mut conn, None, jobs(1));
    let new = testing::submission(&mut conn, ALICE);
    let start = std::sync::Barrier::new(8);
    let submit = || {
        let mut conn = db.connect();
        start.wait();
        intake::submit(&mut conn, &new).unwrap()
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(submit)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1);
}
