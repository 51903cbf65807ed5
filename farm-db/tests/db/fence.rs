//! What a builder writes proves its lease, or changes nothing.

use farm_api::{
    hub::{NewArtifact, Renew},
    record::{StageMark, Usage},
};
use farm_db::{
    DbError, blobs,
    intake::{self, Submission},
    queue, read, testing,
};
use farm_types::{ArtifactKind, LeaseKey, LeaseToken, Outcome, Stage};
use uuid::Uuid;

use crate::support::{PLATFORM, assert_sound, database, execute, expire_leases, text};

#[test]
fn an_old_attempt_cannot_write_into_the_new_one() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let old = builder.claim_one(&mut conn);
    expire_leases(&mut conn);
    assert_eq!(queue::reap(&mut conn, 0).unwrap(), 1);
    let new = builder.claim_one(&mut conn);
    assert_eq!((old.task, old.attempt.0, new.attempt.0), (new.task, 1, 2));
    // Not even with the number of the new one: the token tells them apart.
    for stale in [old, LeaseKey { token: old.token, ..new }, LeaseKey { attempt: old.attempt, ..new }] {
        let refused = [
            builder.finish(&mut conn, &stale, Outcome::Succeeded),
            queue::release(&mut conn, builder.id, &stale, ""),
            queue::stage_began(&mut conn, builder.id, &stale, Stage::Check),
            queue::append_log(&mut conn, builder.id, &stale, 0, 1, b"x").map(drop),
            queue::source(&mut conn, builder.id, &stale, 1).map(drop),
            queue::held(&mut conn, builder.id, &stale),
        ];
        for answer in refused {
            assert!(matches!(answer, Err(DbError::LeaseLost(_))), "{answer:?}");
        }
    }
    let untouched = "SELECT coalesce(stage::text, 'none') || log_size AS text FROM farm.attempt WHERE number = 2";
    assert_eq!(text(&mut conn, untouched), "none0");
    builder.finish(&mut conn, &new, Outcome::Succeeded).unwrap();
    assert_sound(&mut conn);
}

#[test]
fn what_an_attempt_used_up_is_kept_at_its_end_and_no_later_word_changes_it() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = builder.claim_one(&mut conn);
    let mut end = testing::ended(Outcome::Failed);
    end.usage = Usage { peak_memory_bytes: Some(1 << 40), cpu_milliseconds: Some(7), written_bytes: None };
    end.marks = vec![StageMark { stage: Stage::Build, source: Some(2), offset: 100, line: 3 }];
    let thief = testing::builder(&mut conn, "thief");
    let later = farm_api::hub::Finish { usage: Usage { cpu_milliseconds: Some(9), ..end.usage }, ..end.clone() };
    assert!(matches!(queue::finish(&mut conn, thief.id, &key, &later), Err(DbError::LeaseLost(_))));
    queue::finish(&mut conn, builder.id, &key, &end).unwrap();
    queue::finish(&mut conn, builder.id, &key, &later).unwrap();
    let attempt = read::task(&mut conn, farm_db::Viewer::ANYBODY, key.task).unwrap().attempts.remove(0);
    assert_eq!((attempt.usage, attempt.marks, attempt.record_url), (end.usage, end.marks, None));
}

#[test]
fn a_job_is_built_like_a_task_that_has_a_record_on_its_platform_and_its_builder_alone_gets_that() {
    let (_db, mut conn) = database();
    let (owner, thief) = (testing::builder(&mut conn, "owner"), testing::builder(&mut conn, "thief"));
    testing::accepted(&mut conn, &[PLATFORM]);
    let first = owner.claim_one(&mut conn);
    let like = |conn: &mut _, targets: &str| {
        let new = testing::submission(conn, "alice");
        intake::submit(conn, &Submission { like: Some(first.task), targets: targets.to_owned(), ..new })
    };
    assert!(matches!(like(&mut conn, PLATFORM), Err(DbError::NotFound(_))), "there is no record yet");
    let digest = testing::digest();
    queue::deliver(&mut conn, owner.id, &first, &digest, 7).unwrap();
    let record = NewArtifact { kind: ArtifactKind::Manifest, name: "buildroot.json".parse().unwrap(), digest, size: 7 };
    let end = farm_api::hub::Finish { artifacts: vec![record], ..testing::ended(Outcome::Succeeded) };
    queue::finish(&mut conn, owner.id, &first, &end).unwrap();
    assert!(matches!(like(&mut conn, "auto"), Err(DbError::Conflict(_))), "another platform");
    assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.job"), "1", "a refused job is there");
    let (job, _) = like(&mut conn, PLATFORM).unwrap();
    testing::accept(&mut conn, job, &[PLATFORM]);
    let plain = testing::accepted(&mut conn, &[PLATFORM]);
    let claimed = queue::claim(&mut conn, owner.id, owner.instance, 2, 60).unwrap();
    for task in claimed {
        let expected = (task.job == job).then_some(digest);
        assert_eq!(task.like.map(|like| like.digest), expected, "job {}", task.job);
        assert_eq!(queue::like(&mut conn, owner.id, &task.key).ok(), expected);
        assert!(matches!(queue::like(&mut conn, thief.id, &task.key), Err(DbError::LeaseLost(_))));
    }
    let shown = |conn: &mut _, job| read::job(conn, farm_db::Viewer::ANYBODY, job).unwrap().like.map(|like| like.task);
    assert_eq!((shown(&mut conn, job), shown(&mut conn, plain)), (Some(first.task), None));
}

#[test]
fn a_job_that_is_to_be_built_like_a_build_whose_record_has_gone_is_not_built_otherwise() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let first = builder.claim_one(&mut conn);
    let digest = testing::digest();
    queue::deliver(&mut conn, builder.id, &first, &digest, 7).unwrap();
    let record = NewArtifact { kind: ArtifactKind::Manifest, name: "buildroot.json".parse().unwrap(), digest, size: 7 };
    let end = farm_api::hub::Finish { artifacts: vec![record], ..testing::ended(Outcome::Succeeded) };
    queue::finish(&mut conn, builder.id, &first, &end).unwrap();
    let new =
        Submission { like: Some(first.task), targets: PLATFORM.to_owned(), ..testing::submission(&mut conn, "alice") };
    let (job, _) = intake::submit(&mut conn, &new).unwrap();
    testing::accept(&mut conn, job, &[PLATFORM]);
    let task = crate::support::task_of(&mut conn, job);
    execute(&mut conn, "UPDATE farm.bucket SET keep_days = 1");
    execute(&mut conn, "UPDATE farm.task SET finished_at = now() - interval '3 days' WHERE finished_at IS NOT NULL");
    let due = "SELECT count(*)::text AS text FROM farm.all_files_due()";
    assert_eq!(text(&mut conn, due), "0", "it is needed still");
    execute(&mut conn, "DELETE FROM farm.artifact WHERE kind = 'manifest'");
    let plain = testing::accepted(&mut conn, &[PLATFORM]);
    let claimed = queue::claim(&mut conn, builder.id, builder.instance, 2, 60).unwrap();
    assert_eq!(claimed.iter().map(|task| task.job).collect::<Vec<_>>(), [plain], "the other is not lost by it");
    let ended = read::task(&mut conn, farm_db::Viewer::ANYBODY, task).unwrap();
    assert_eq!(ended.state, farm_types::TaskState::Failed);
    assert_eq!(ended.attempts[0].cause, Some(farm_types::Cause::Dependencies));
    assert_eq!(text(&mut conn, due), "1");
    let again = queue::retry_job(&mut conn, &testing::operator(), job, true);
    assert!(matches!(again, Err(DbError::Conflict(why)) if why.contains("hand it in anew")));
}

#[test]
fn what_the_farm_knows_of_a_task_and_nobody_can_read_costs_no_other_task() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let (odd, plain) = (testing::accepted(&mut conn, &[PLATFORM]), testing::accepted(&mut conn, &[PLATFORM]));
    execute(&mut conn, &format!("UPDATE farm.job SET options = '{{\"weight\": \"of lead\"}}' WHERE id = {odd}"));
    let claimed = queue::claim(&mut conn, builder.id, builder.instance, 2, 60).unwrap();
    assert_eq!(claimed.iter().map(|task| task.job).collect::<Vec<_>>(), [plain]);
    let task = crate::support::task_of(&mut conn, odd);
    let attempt = read::task(&mut conn, farm_db::Viewer::ANYBODY, task).unwrap().attempts.remove(0);
    assert_eq!(attempt.outcome, Some(Outcome::FarmFault));
}

#[test]
fn the_lease_of_one_builder_is_of_no_use_to_another() {
    let (_db, mut conn) = database();
    let (owner, thief) = (testing::builder(&mut conn, "owner"), testing::builder(&mut conn, "thief"));
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = owner.claim_one(&mut conn);
    assert!(matches!(thief.finish(&mut conn, &key, Outcome::Succeeded), Err(DbError::LeaseLost(_))));
    let renew = Renew { instance: thief.instance, leases: vec![key], wait_seconds: 0 };
    assert_eq!(queue::renew(&mut conn, thief.id, &renew, 60).unwrap().len(), 1);
    owner.finish(&mut conn, &key, Outcome::Succeeded).unwrap();
}

#[test]
fn a_finish_sent_again_is_fine_and_one_that_says_otherwise_is_refused() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    let key = builder.claim_one(&mut conn);
    for _ in 0..2 {
        builder.finish(&mut conn, &key, Outcome::Failed).unwrap();
    }
    assert!(matches!(builder.finish(&mut conn, &key, Outcome::Succeeded), Err(DbError::LeaseLost(_))));
    let guessed = LeaseKey { token: LeaseToken(Uuid::new_v4()), ..key };
    assert!(matches!(builder.finish(&mut conn, &guessed, Outcome::Failed), Err(DbError::LeaseLost(_))));
    assert_eq!(crate::support::state(&mut conn, job), "failed");
}

#[test]
fn a_renewal_tells_which_leases_are_gone_and_why() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let jobs = [(); 3].map(|()| testing::accepted(&mut conn, &[PLATFORM]));
    let keys = builder.claim(&mut conn, 3);
    queue::cancel_job(&mut conn, &testing::person("alice"), jobs[0]).unwrap();
    queue::release(&mut conn, builder.id, &keys[1], "").unwrap();
    let renew = Renew { instance: builder.instance, leases: keys.clone(), wait_seconds: 0 };
    for gone in
        [queue::renew(&mut conn, builder.id, &renew, 60).unwrap(), queue::gone(&mut conn, builder.id, &keys).unwrap()]
    {
        let gone: Vec<_> = gone.iter().map(|gone| (gone.task, gone.outcome)).collect();
        assert_eq!(gone, [(keys[0].task, Outcome::Cancelled), (keys[1].task, Outcome::Lost)]);
    }
    let of_another_life = Renew { instance: Uuid::new_v4(), ..renew };
    assert_eq!(queue::renew(&mut conn, builder.id, &of_another_life, 60).unwrap().len(), 3);
}

#[test]
fn artifacts_that_were_not_delivered_are_refused_and_the_lease_stays() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = builder.claim_one(&mut conn);
    let digest = testing::digest();
    let mut end = testing::ended(Outcome::Succeeded);
    end.artifacts = vec![NewArtifact { kind: ArtifactKind::Log, name: "log.gz".parse().unwrap(), digest, size: 7 }];
    assert!(matches!(queue::finish(&mut conn, builder.id, &key, &end), Err(DbError::NotFound(_))));
    // That the farm has it is not enough: it has to be brought under this lease.
    blobs::record(&mut conn, &digest, 7).unwrap();
    assert!(matches!(queue::finish(&mut conn, builder.id, &key, &end), Err(DbError::NotFound(_))));
    assert!(!queue::has_delivered(&mut conn, builder.id, &key, &digest, 7).unwrap());
    queue::deliver(&mut conn, builder.id, &key, &digest, 7).unwrap();
    assert!(queue::has_delivered(&mut conn, builder.id, &key, &digest, 7).unwrap());
    end.artifacts[0].size = 8;
    assert!(matches!(queue::finish(&mut conn, builder.id, &key, &end), Err(DbError::NotFound(_))));
    queue::append_log(&mut conn, builder.id, &key, 0, 4, b"gzip").unwrap();
    end.artifacts[0].size = 7;
    queue::finish(&mut conn, builder.id, &key, &end).unwrap();
    // The whole log is a blob now, so its pieces are not needed any more.
    assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.log_chunk"), "0");
    assert_eq!(
        read::log_place(&mut conn, farm_db::Viewer::ANYBODY, key.task, None).unwrap().unwrap().blob,
        Some(digest)
    );
    assert_sound(&mut conn);
}

#[test]
fn a_piece_of_log_is_taken_only_where_the_last_one_ended() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = builder.claim_one(&mut conn);
    let mut append = |start, length| queue::append_log(&mut conn, builder.id, &key, start, length, b"gzip").unwrap();
    assert_eq!([append(0, 5), append(0, 5), append(9, 5), append(5, 0), append(5, 2)], [5, 5, 5, 5, 7]);
    assert_sound(&mut conn);
}
