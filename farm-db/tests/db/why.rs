//! Why a task waits: who is ahead of it, when it is expected to begin, and how that is known.

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use farm_api::people::Why;
use farm_db::{
    Viewer,
    intake::{self, Submission},
    operator, read, testing,
};
use farm_types::{BuilderState, Class, JobId, Outcome};

use crate::{
    access::{bucket, grant},
    support::{PLATFORM, database, end_backoffs, execute, task_of},
};

fn asked(conn: &mut PgConnection, job: JobId) -> Why {
    let task = task_of(conn, job);
    read::why(conn, Viewer::ANYBODY, task).unwrap()
}

fn accepted(conn: &mut PgConnection, new: &Submission, package: &str) -> JobId {
    let job = intake::submit(conn, new).unwrap().0;
    testing::accept_as(conn, job, package, &[PLATFORM]);
    job
}

#[test]
fn who_is_ahead_is_named_to_those_who_may_see_the_job_and_counted_for_all() {
    let (db, mut conn) = database();
    bucket(&mut conn, "secret", false);
    for (right, to) in [("submit:secret", "mallory"), ("class:urgent", "bob")] {
        grant(&mut conn, right, to);
    }
    let secret = Submission { bucket: "secret".parse().unwrap(), ..testing::submission(&mut conn, "mallory") };
    accepted(&mut conn, &secret, "hello");
    let urgent = Submission { class: Class::Urgent, ..testing::submission(&mut conn, "bob") };
    accepted(&mut conn, &urgent, "hello");
    let normal = testing::submission(&mut conn, "bob");
    accepted(&mut conn, &normal, "hello");
    let mine = testing::accepted(&mut conn, &[PLATFORM]);
    let task = task_of(&mut conn, mine);
    for (table, id) in [("task", "id"), ("ready", "task_id")] {
        execute(&mut conn, &format!("UPDATE farm.{table} SET rank = 1000000000 WHERE {id} = {task}"));
    }
    let seen = read::why(&mut db.connect_as("farm_web"), Viewer::ANYBODY, task).unwrap();
    assert_eq!(seen.ahead, Some(3));
    let people: Vec<_> = seen.people.iter().map(ToString::to_string).collect();
    assert_eq!(people, ["2 of bob (1 urgent)", "1 of others"]);
    let line = "3 tasks go before it on its platform: 2 of bob (1 urgent), 1 of others";
    assert_eq!(seen.line().unwrap(), line);
    let all = asked(&mut conn, mine).line().unwrap();
    assert_eq!(all, "3 tasks go before it on its platform: 2 of bob (1 urgent), 1 of mallory");
}

#[test]
fn what_is_expected_follows_from_those_ahead_and_what_runs_and_says_how_it_is_known() {
    let (_db, mut conn) = database();
    testing::took_before(&mut conn, PLATFORM, "known", 600.0);
    let builder = testing::builder(&mut conn, "one").with_slots(&mut conn, 2);
    let new = testing::submission(&mut conn, "alice");
    let first = accepted(&mut conn, &new, "known");
    let expected = asked(&mut conn, first).expected.unwrap();
    let words =
        "expected to begin at once, and to take about 10 min: known from 1 build of this package on this platform";
    assert_eq!(expected.to_string(), words);

    for _ in 0..3 {
        let new = testing::submission(&mut conn, "alice");
        accepted(&mut conn, &new, "known");
    }
    let last = testing::accepted(&mut conn, &[PLATFORM]);
    // Four of ten minutes, over two slots.
    let expected = asked(&mut conn, last).expected.unwrap();
    assert_eq!((expected.begins_after, expected.begins_within, expected.takes), (Some(600), Some(2400), 60));
    assert!(expected.basis.starts_with("nothing was built before"), "{expected}");

    // What runs counts with what is left of it.
    assert_eq!(builder.claim(&mut conn, 2).len(), 2);
    execute(&mut conn, "UPDATE farm.attempt SET started_at = now() - interval '5 minutes'");
    let expected = asked(&mut conn, last).expected.unwrap();
    let after = expected.begins_after.unwrap();
    assert!((300..=450).contains(&after), "two of ten minutes and two halves, over two slots: {after}");

    operator::set_builder_state(&mut conn, &testing::operator(), &"one".parse().unwrap(), BuilderState::Draining, None)
        .unwrap();
    let expected = asked(&mut conn, last).expected.unwrap();
    assert_eq!((expected.begins_after, expected.begins_within), (None, None), "nobody serves the platform");
}

#[test]
fn a_builder_that_spoilt_the_task_says_that_others_may_take_it_first() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::builder(&mut conn, "two");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    let key = builder.claim_one(&mut conn);
    builder.finish(&mut conn, &key, Outcome::FarmFault).unwrap();
    let backing_off = asked(&mut conn, job);
    assert!(backing_off.summary.contains("it is tried again after"), "{}", backing_off.summary);
    assert_eq!(backing_off.expected, None, "its summary says when");
    end_backoffs(&mut conn);
    let why = asked(&mut conn, job);
    let [one, two] = &why.builders[..] else { panic!("two builders: {why:?}") };
    assert!(!one.could_take_it && one.reason.starts_with("spoilt it before: until "), "{one:?}");
    assert!(two.could_take_it, "{two:?}");
}

#[test]
fn a_task_that_comes_after_a_job_says_how_far_that_one_is_and_its_name_to_those_who_may_see_it() {
    let (db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let first = testing::submitted(&mut conn, None);
    let second = testing::submitted(&mut conn, Some(first));
    testing::accept(&mut conn, second, &[PLATFORM]);
    let summary = |conn: &mut PgConnection, job| asked(conn, job).summary;
    let end = "; it goes on when all of them have succeeded";
    let before = format!("it comes after job {first} (“a test”), ");
    assert_eq!(summary(&mut conn, second), format!("{before}which no validator has decided on yet{end}"));
    testing::accept(&mut conn, first, &[PLATFORM]);
    builder.claim_one(&mut conn);
    let at_work = "of whose 1 task 0 have ended and 1 is being built";
    assert_eq!(summary(&mut conn, second), format!("{before}{at_work}{end}"));
    let third = testing::submitted(&mut conn, Some(second));
    testing::accept(&mut conn, third, &[PLATFORM]);
    let chain = format!("it comes after job {second} (“a test”), which waits for job {first} itself{end}");
    assert_eq!(summary(&mut conn, third), chain);
    bucket(&mut conn, "secret", false);
    execute(&mut conn, &format!("UPDATE farm.job SET bucket = 'secret' WHERE id = {first}"));
    let task = task_of(&mut conn, second);
    let seen = read::why(&mut db.connect_as("farm_web"), Viewer::ANYBODY, task).unwrap();
    assert_eq!(seen.summary, format!("it comes after job {first}, {at_work}{end}"));
}

/// What is done to the builder, and how it then begins to say why it does not take the task.
const REASONS: &[(&str, &str)] = &[
    ("UPDATE farm.builder SET state = 'disabled', reason = 'its disk is broken'", "is disabled: its disk is broken"),
    ("UPDATE farm.builder SET state = 'draining'", "is draining"),
    ("UPDATE farm.builder SET last_seen_at = NULL", "never said hello"),
    ("UPDATE farm.builder SET last_seen_at = now() - interval '1 hour'", "was last heard of "),
    ("UPDATE farm.builder SET arches = '{s390x}'", "does not serve a-x86_64"),
    ("UPDATE farm.builder SET platforms = '{}'", "does not serve a-x86_64"),
    (
        "INSERT INTO farm.builder_status SELECT id, instance, 'the load is 9.5', 9.5, 1, 1, 1, 1 FROM farm.builder",
        "takes nothing: the load is 9.5",
    ),
    ("UPDATE farm.builder SET slots = 0", "is full: 0 of 0 slots"),
    ("UPDATE farm.builder SET saves_for = (SELECT min(id) FROM farm.task)", "keeps its slots for task "),
    ("UPDATE farm.ready SET avoid = (SELECT array_agg(id) FROM farm.builder)", "spoilt it before: until "),
    (
        "UPDATE farm.task SET weight = 9; UPDATE farm.builder SET slots = 9, saves_for = (SELECT max(id) FROM farm.task);
         INSERT INTO farm.lease (task_id, attempt, builder_id, token, expires_at)
           SELECT min(id), 1, (SELECT id FROM farm.builder), gen_random_uuid(), now() FROM farm.task",
        "keeps its slots for it: 8 of the 9 that it takes are free",
    ),
];

#[test]
fn whatever_keeps_a_builder_from_a_task_is_said() {
    let (_db, mut conn) = database();
    testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    let free = asked(&mut conn, job);
    assert!(free.builders[0].could_take_it && free.builders[0].reason == "has a free slot", "{free:?}");
    for (change, reason) in REASONS {
        let why = conn.test_transaction::<_, farm_db::DbError, _>(|conn| {
            // Also what cannot be brought about by one builder and one task.
            conn.batch_execute(&format!("SET LOCAL session_replication_role = replica; {change}"))?;
            Ok(asked(conn, job))
        });
        let told = &why.builders[0];
        assert!(!told.could_take_it && told.reason.starts_with(reason), "{change}: {told:?}");
        let summary = format!("no builder can take it now: one {}", told.reason);
        assert_eq!(why.summary, summary, "{change}");
    }
}
