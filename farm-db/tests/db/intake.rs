//! submit → accept | reject.

use diesel::Connection as _;
use farm_api::error::Reason;
use farm_db::{
    DbError,
    intake::{self, Decided, Decision, Submission},
    queue, testing,
};

use crate::support::{PLATFORM, assert_sound, database, execute, text};

#[test]
fn the_same_request_sent_again_is_the_same_job() {
    let (_db, mut conn) = database();
    let new = testing::submission(&mut conn, "alice");
    let (job, created) = intake::submit(&mut conn, &new).unwrap();
    assert!(created);
    assert_eq!(intake::submit(&mut conn, &new).unwrap(), (job, false));
    let another = Submission { request: testing::digest(), ..new.clone() };
    assert!(matches!(intake::submit(&mut conn, &another), Err(DbError::Conflict(_))));
    let of_bob = Submission { actor: testing::person("bob"), ..new };
    assert!(intake::submit(&mut conn, &of_bob).unwrap().1, "keys are each person's own");
}

#[test]
fn what_is_not_there_is_refused_by_name_and_no_job_is_made() {
    let (_db, mut conn) = database();
    let good = testing::submission(&mut conn, "alice");
    let missing = testing::digest();
    for (bad, word) in [
        (Submission { bucket: "nowhere".parse().unwrap(), ..good.clone() }, "nowhere".to_owned()),
        (Submission { after: Some(4711.into()), ..good.clone() }, "4711".to_owned()),
        (Submission { sources: vec![("a.src.rpm".to_owned(), missing)], ..good }, missing.to_string()),
    ] {
        let Err(DbError::NotFound(message)) = intake::submit(&mut conn, &bad) else { panic!("it was taken") };
        assert!(message.contains(&word), "{message}");
    }
    assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.job"), "0");
}

#[test]
fn a_job_is_submitted_once_however_many_send_it_at_the_same_time() {
    let (db, mut conn) = database();
    let new = testing::submission(&mut conn, "alice");
    let answers: Vec<_> = std::thread::scope(|scope| {
        let submit = || intake::submit(&mut db.connect(), &new).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(submit)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1);
    assert!(answers.iter().all(|(job, _)| *job == answers[0].0));
    assert_sound(&mut conn);
}

#[test]
fn a_fault_of_the_farm_postpones_the_decision() {
    let (_db, mut conn) = database();
    let job = testing::submitted(&mut conn, None);
    assert_eq!(intake::decide_next(&mut conn, |_, _| None).unwrap(), Decided::Postponed(job));
    assert_eq!(intake::decide_next(&mut conn, |_, _| None).unwrap(), Decided::Nothing, "it is not its time yet");
    execute(&mut conn, "UPDATE farm.job SET next_try_at = now()");
    let platforms = vec![PLATFORM.parse().unwrap()];
    let accept = Decision::Accept { sources: Vec::new(), platforms, warnings: Vec::new() };
    assert_eq!(intake::decide_next(&mut conn, |_, _| Some(accept)).unwrap(), Decided::Done(job));
    assert_eq!(crate::support::state(&mut conn, job), "pending");
    assert_sound(&mut conn);
}

#[test]
fn a_rejection_keeps_every_reason() {
    let (_db, mut conn) = database();
    testing::submitted(&mut conn, None);
    let reason = |code: &str| Reason { code: code.to_owned(), source: Some(1), message: "a sentence".to_owned() };
    intake::decide_next(&mut conn, |_, _| Some(Decision::Reject(vec![reason("one"), reason("two")]))).unwrap();
    assert_eq!(text(&mut conn, "SELECT reasons->1->>'code' AS text FROM farm.job_view"), "two");
    assert_sound(&mut conn);
}

#[test]
fn two_validators_never_decide_on_the_same_job_and_that_of_a_dead_one_is_free_at_once() {
    let (db, mut conn) = database();
    let (first, second) = (testing::submitted(&mut conn, None), testing::submitted(&mut conn, None));
    let look = |conn: &mut _| intake::decide_next(conn, |_, _| None).unwrap();
    let dies: Result<Decided, DbError> = db.connect().transaction(|conn| {
        assert_eq!(look(conn), Decided::Postponed(first));
        assert_eq!(look(&mut db.connect()), Decided::Postponed(second));
        assert_eq!(look(&mut db.connect()), Decided::Nothing);
        Err(DbError::Unavailable("killed".to_owned()))
    });
    assert!(dies.is_err());
    assert_eq!(look(&mut conn), Decided::Postponed(first));
}

#[test]
fn tasks_are_made_for_all_platforms_or_for_none() {
    let (_db, mut conn) = database();
    testing::platform(&mut conn, "b-x86_64");
    farm_db::operator::enable_platform(&mut conn, &testing::operator(), &"b-x86_64".parse().unwrap(), false).unwrap();
    let job = testing::submitted(&mut conn, None);
    let platforms = vec![PLATFORM.parse().unwrap(), "b-x86_64".parse().unwrap()];
    for platforms in [platforms, Vec::new()] {
        let accept = Decision::Accept { sources: Vec::new(), platforms, warnings: Vec::new() };
        let refused = intake::decide_next(&mut conn, |_, _| Some(accept));
        assert!(matches!(refused, Err(DbError::Conflict(_))), "{refused:?}");
    }
    assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.task"), "0");
    assert_eq!(text(&mut conn, &format!("SELECT state::text AS text FROM farm.job WHERE id = {job}")), "submitted");
}

#[test]
fn a_job_that_was_cancelled_before_it_was_decided_on_is_not_decided_on() {
    let (_db, mut conn) = database();
    let job = testing::submitted(&mut conn, None);
    assert_eq!(queue::cancel_job(&mut conn, &testing::person("alice"), job).unwrap(), 1);
    assert_eq!(queue::cancel_job(&mut conn, &testing::person("alice"), job).unwrap(), 0);
    assert_eq!(intake::decide_next(&mut conn, |_, _| None).unwrap(), Decided::Nothing);
    assert_sound(&mut conn);
}
