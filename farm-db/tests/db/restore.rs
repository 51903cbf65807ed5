//! After the database or the store was set back.

use farm_api::hub::{Finish, NewArtifact, Renew};
use farm_db::{
    DbError, PgConnection, access, publish, queue, read,
    restore::{self, Cure},
    testing::{self, TestBuilder},
};
use farm_testing::{DEADLINE, eventually_blocking};
use farm_types::{ArtifactKind, Digest, JobId, LeaseKey, LeaseToken, Outcome, Scope, TokenKind};
use uuid::Uuid;

use crate::support::{PLATFORM, assert_sound, database, execute, state, task_of, text};

/// A job that was built, with a package, a record and a log; answers their digests.
fn built(conn: &mut PgConnection, builder: TestBuilder) -> (JobId, [Digest; 3]) {
    let job = testing::accepted(conn, &[PLATFORM]);
    let (key, mut artifacts) = (builder.claim_one(conn), Vec::new());
    let kinds =
        [(ArtifactKind::Rpm, "a.rpm"), (ArtifactKind::Manifest, "buildroot.json"), (ArtifactKind::Log, "build.log.gz")];
    for (kind, name) in kinds {
        let digest = testing::digest();
        queue::deliver(conn, builder.id, &key, &digest, 7).unwrap();
        artifacts.push(NewArtifact { kind, name: name.parse().unwrap(), digest, size: 7 });
    }
    let digests = [artifacts[0].digest, artifacts[1].digest, artifacts[2].digest];
    queue::finish(conn, builder.id, &key, &Finish { artifacts, ..testing::ended(Outcome::Succeeded) }).unwrap();
    (job, digests)
}

/// The store lacks these.
fn miss(conn: &mut PgConnection, digests: &[Digest]) {
    for digest in digests {
        let noted = restore::note_missing(conn, &testing::operator(), digest.as_bytes()[0], &[(*digest, None)]);
        assert_eq!(noted.unwrap(), 1);
    }
}

fn source_of(conn: &mut PgConnection, job: JobId) -> Digest {
    text(conn, &format!("SELECT encode(digest, 'hex') AS text FROM farm.source WHERE job_id = {job}")).parse().unwrap()
}

fn cures(conn: &mut PgConnection) -> Vec<(JobId, Vec<(String, Cure)>)> {
    let jobs = restore::jobs_that_miss(conn, 0, 100).unwrap();
    let files = |files: Vec<restore::MissingFile>| files.into_iter().map(|file| (file.name, file.cure)).collect();
    jobs.into_iter().map(|job| (job.job, files(job.files))).collect()
}

#[test]
fn after_a_restore_a_builder_of_the_lost_time_has_no_lease_though_its_numbers_are_given_again() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let (kept, lost) = (testing::accepted(&mut conn, &[PLATFORM]), testing::accepted(&mut conn, &[PLATFORM]));
    let before = builder.claim_one(&mut conn);
    // What a claim gave in the time that is lost: the numbers that the next claim gives too, and another token.
    let next = task_of(&mut conn, lost);
    let of_the_lost_time = LeaseKey { task: next, attempt: before.attempt, token: LeaseToken(Uuid::new_v4()) };
    let done = restore::after_restore(&mut conn, &testing::operator(), 1000).unwrap();
    assert_eq!((done.leases, state(&mut conn, kept)), (1, "pending".to_owned()));

    let again = builder.claim(&mut conn, 2);
    let key = *again.iter().find(|key| key.task == next).unwrap();
    assert_eq!((key.task, key.attempt), (of_the_lost_time.task, of_the_lost_time.attempt));
    for old in [before, of_the_lost_time] {
        let answers = [
            builder.finish(&mut conn, &old, Outcome::Succeeded),
            queue::release(&mut conn, builder.id, &old, ""),
            queue::append_log(&mut conn, builder.id, &old, 0, 1, b"x").map(drop),
            queue::deliver(&mut conn, builder.id, &old, &testing::digest(), 1),
        ];
        for answer in answers {
            assert!(matches!(answer, Err(DbError::LeaseLost(_))), "{answer:?}");
        }
        let renew = Renew { instance: builder.instance, leases: vec![old], wait_seconds: 0 };
        assert_eq!(
            queue::renew(&mut conn, builder.id, &renew, 60).unwrap().len(),
            1,
            "it is told that the lease is gone"
        );
    }
    again.iter().for_each(|key| builder.finish(&mut conn, key, Outcome::Succeeded).unwrap());
    assert_eq!((state(&mut conn, kept), state(&mut conn, lost)), ("succeeded".to_owned(), "succeeded".to_owned()));
    assert_sound(&mut conn);
}

#[test]
fn numbers_that_people_have_seen_are_not_given_again_and_whoever_asks_for_one_hears_why_it_is_gone() {
    let (_db, mut conn) = database();
    let last = testing::accepted(&mut conn, &[PLATFORM]);
    // A restored sequence is ahead of the numbers that it gave.
    execute(&mut conn, "SELECT setval('farm.job_id_seq', nextval('farm.job_id_seq') + 20)");
    let done = restore::after_restore(&mut conn, &testing::operator(), 100).unwrap();
    assert_eq!((done.jobs_from, done.jobs_before), (last.0 + 1, last.0 + 122));
    let next = testing::accepted(&mut conn, &[PLATFORM]);
    assert_eq!(next.0, done.jobs_before);
    let viewer = farm_db::Viewer(None);
    for lost in [done.jobs_from, done.jobs_before - 1] {
        let error = read::job(&mut conn, viewer, JobId(lost)).unwrap_err();
        assert!(error.to_string().contains("was lost when the database was set back"), "{error}");
    }
    let never = read::job(&mut conn, viewer, JobId(next.0 + 1)).unwrap_err();
    assert_eq!(never.to_string(), format!("there is no job {}", next.0 + 1));
    let task = read::task(&mut conn, viewer, farm_types::TaskId(done.tasks_from)).unwrap_err();
    assert!(task.to_string().contains("was lost when"), "{task}");
}

#[test]
fn sessions_and_logins_end_with_a_restore_and_tokens_that_were_made_by_hand_do_not() {
    let (_db, mut conn) = database();
    let alice = testing::person("alice");
    let (session, api) = (testing::digest(), testing::digest());
    testing::log_in(&mut conn, &alice, &session, TokenKind::Session).unwrap();
    let new = access::NewToken { person: "alice", digest: &api, name: "ci", scopes: Scope::ALL, days: 9 };
    access::make_token(&mut conn, &testing::operator(), &new).unwrap();
    assert_eq!(restore::after_restore(&mut conn, &testing::operator(), 1).unwrap().logins, 1);
    assert!(access::caller_by_token(&mut conn, &session).unwrap().is_none());
    assert!(access::caller_by_token(&mut conn, &api).unwrap().is_some());
}

#[test]
fn a_farm_at_work_is_not_taken_for_a_restored_one() {
    let (db, mut conn) = database();
    let (_reader, hub) = (db.connect_as("farm_readonly"), db.connect_as("farm_hub"));
    let refused = restore::after_restore(&mut conn, &testing::operator(), 1).unwrap_err();
    assert!(matches!(&refused, DbError::Conflict(why) if why.contains("(farm_hub)")), "{refused:?}");
    drop(hub);
    let after_restore = || restore::after_restore(&mut conn, &testing::operator(), 1).ok();
    eventually_blocking("the end of the session", DEADLINE, after_restore);
}

#[test]
fn what_ends_with_a_restore_however_often_says_nothing_about_tasks_and_builders() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    // The last sign of life of a hub is as old as the state that the database was set back to.
    queue::pulse(&mut conn, 60).unwrap();
    execute(&mut conn, "UPDATE farm.hub_pulse SET at = now() - interval '9 days', since = now() - interval '10 days'");
    for restores in 1..=4 {
        let key = builder.claim_one(&mut conn);
        assert_eq!(key.attempt.0, restores, "it is put back at once");
        restore::after_restore(&mut conn, &testing::operator(), 1).unwrap();
    }
    let in_service = "SELECT state::text AS text FROM farm.builder";
    assert_eq!((state(&mut conn, job), text(&mut conn, in_service)), ("pending".to_owned(), "enabled".to_owned()));
    assert_sound(&mut conn);
}

#[test]
fn repositories_are_published_anew_after_a_restore_as_they_may_be_of_the_lost_time() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let (_, _) = built(&mut conn, builder);
    let [repository] = &publish::unpublished(&mut conn).unwrap()[..] else { panic!("not one repository") };
    let reasons = publish::contents(&mut conn, repository).unwrap().unwrap().reasons;
    publish::published(&mut conn, repository, &reasons, 1).unwrap();
    assert_eq!(publish::unpublished(&mut conn).unwrap(), []);
    restore::after_restore(&mut conn, &testing::operator(), 1).unwrap();
    assert_eq!(publish::unpublished(&mut conn).unwrap().len(), 1);
}

#[test]
fn a_task_whose_packages_are_missing_is_built_again_and_a_log_that_is_missing_is_forgotten() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let ((package, files), (logless, others)) = (built(&mut conn, builder), built(&mut conn, builder));
    execute(&mut conn, "DELETE FROM farm.unpublished");
    miss(&mut conn, &[files[0], others[2]]);
    let expected = [
        (package, vec![("a.rpm".to_owned(), Cure::Build)]),
        (logless, vec![("build.log.gz".to_owned(), Cure::Forget)]),
    ];
    assert_eq!(cures(&mut conn), expected);
    let bytes = |conn: &mut _, job| text(conn, &format!("SELECT bytes::text AS text FROM farm.job WHERE id = {job}"));
    assert_eq!(bytes(&mut conn, package), "22", "a source, a package, a record and a log");

    let done = restore::make_good(&mut conn, &testing::operator(), package).unwrap();
    assert_eq!((done.built, done.forgotten), (1, 0));
    assert_eq!((state(&mut conn, package), bytes(&mut conn, package)), ("pending".to_owned(), "8".to_owned()));
    assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.unpublished"), "1");
    let done = restore::make_good(&mut conn, &testing::operator(), logless).unwrap();
    assert_eq!((done.built, done.forgotten), (0, 1));
    assert_eq!(state(&mut conn, logless), "succeeded");
    assert_eq!(cures(&mut conn), []);
    assert_sound(&mut conn);

    let key = builder.claim_one(&mut conn);
    assert_eq!(key.attempt.0, 2);
    builder.finish(&mut conn, &key, Outcome::Succeeded).unwrap();
    assert_eq!(state(&mut conn, package), "succeeded");
    assert_sound(&mut conn);
}

#[test]
fn a_builder_is_not_to_blame_for_packages_that_the_store_has_lost() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let jobs = [built(&mut conn, builder), built(&mut conn, builder), built(&mut conn, builder)];
    for (job, files) in jobs {
        miss(&mut conn, &files[..1]);
        restore::make_good(&mut conn, &testing::operator(), job).unwrap();
    }
    // It is judged when something goes wrong, and a fourth task in a row would be the end of it.
    let key = builder.claim_one(&mut conn);
    builder.finish(&mut conn, &key, Outcome::FarmFault).unwrap();
    assert_eq!(text(&mut conn, "SELECT state::text AS text FROM farm.builder"), "enabled");
    assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.doubtful"), "0");
    assert_eq!(builder.claim(&mut conn, 9).len(), 2, "it may build them again");
}

#[test]
fn jobs_that_come_after_one_that_is_built_again_wait_for_it_again() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let (first, files) = built(&mut conn, builder);
    let second = testing::submitted(&mut conn, Some(first));
    testing::accept(&mut conn, second, &[PLATFORM]);
    assert_eq!(state(&mut conn, second), "pending");
    miss(&mut conn, &files[..1]);
    restore::make_good(&mut conn, &testing::operator(), first).unwrap();
    assert_eq!((state(&mut conn, first), state(&mut conn, second)), ("pending".to_owned(), "waiting".to_owned()));
    let written =
        format!("SELECT action AS text FROM farm.audit WHERE object = 'job {second}' ORDER BY id DESC LIMIT 1");
    assert_eq!(text(&mut conn, &written), "wait again");
    assert_sound(&mut conn);
    let key = builder.claim_one(&mut conn);
    builder.finish(&mut conn, &key, Outcome::Succeeded).unwrap();
    assert_eq!(state(&mut conn, second), "pending");
    assert_sound(&mut conn);
}

#[test]
fn what_cannot_be_built_again_because_its_source_is_missing_too_waits_for_whoever_has_it() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let (job, files) = built(&mut conn, builder);
    let source = source_of(&mut conn, job);
    miss(&mut conn, &[source, files[0]]);
    let expected = vec![("hello-1-1.src.rpm".to_owned(), Cure::HandIn), ("a.rpm".to_owned(), Cure::HandIn)];
    assert_eq!(cures(&mut conn), [(job, expected)]);
    assert_eq!(restore::make_good(&mut conn, &testing::operator(), job).unwrap(), restore::MadeGood::default());
    assert_eq!(state(&mut conn, job), "succeeded");
    // It was brought again.
    assert_eq!(restore::note_missing(&mut conn, &testing::operator(), source.as_bytes()[0], &[]).unwrap(), 0);
    if source.as_bytes()[0] == files[0].as_bytes()[0] {
        miss(&mut conn, &files[..1]);
    }
    assert_eq!(restore::make_good(&mut conn, &testing::operator(), job).unwrap().built, 1);
    assert_sound(&mut conn);
}

#[test]
fn a_blob_that_was_removed_while_the_store_was_looked_at_is_not_missing() {
    let (_db, mut conn) = database();
    let gone = testing::digest();
    assert_eq!(
        restore::note_missing(&mut conn, &testing::operator(), gone.as_bytes()[0], &[(gone, Some(3))]).unwrap(),
        0
    );
}
