//! Why a task waits: who is ahead of it, when it is expected to begin, and how that is known.

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use farm_api::people::Why;
use farm_db::{
    Viewer,
    intake::{self, Submission},
    operator, read, testing,
};
use farm_types::{
    BuilderState, Class, JobId, Outcome, TaskState,
    WaitReason::{self, *},
};

use crate::{
    access::{bucket, grant},
    support::{PLATFORM, database, end_backoffs, execute, task_of, text},
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
    let words = "expected to begin at once, and to end about 10 min after that: known from 1 build of this package on this platform";
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
    for table in ["attempt", "task"] {
        execute(
            &mut conn,
            &format!("UPDATE farm.{table} SET started_at = now() - interval '5 minutes' WHERE started_at IS NOT NULL"),
        );
    }
    let expected = asked(&mut conn, last).expected.unwrap();
    let after = expected.begins_after.unwrap();
    assert!((300..=450).contains(&after), "two of ten minutes and two halves, over two slots: {after}");
    let job = read::job_expecting(&mut conn, Viewer::ANYBODY, first).unwrap();
    let running = job.tasks[0].expected.as_ref().unwrap();
    let told = "expected to end in about 5 min: known from 1 build of this package on this platform";
    assert_eq!((running.ends_within, running.to_string().as_str()), (running.ends_after, told));
    let job = read::job_expecting(&mut conn, Viewer::ANYBODY, last).unwrap();
    assert!(job.tasks[0].expected.as_ref().unwrap().begins_after > Some(0), "{job:?}");

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
    assert!(
        !one.could_take_it && one.reason == WaitReason::SpoiltIt && one.summary.starts_with("spoilt it before: until "),
        "{one:?}"
    );
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

/// What is done to the builder, its reason, how that begins in words, and what it is for the task if there is no other builder.
const OF_BUILDERS: &[(&str, WaitReason, &str, WaitReason)] = &[
    (
        "UPDATE farm.builder SET state = 'disabled', reason = 'its disk is broken'",
        Disabled,
        "is disabled: its disk is broken",
        NoneTakes,
    ),
    (
        "UPDATE farm.builder SET state = 'disabled', out_at = now(), reason = 'it spoilt 3 tasks'",
        OutOfService,
        "is out of service: it spoilt 3 tasks",
        NoneTakes,
    ),
    ("UPDATE farm.builder SET state = 'draining'", Draining, "is draining", NoneTakes),
    ("UPDATE farm.builder SET last_seen_at = NULL", NeverCame, "never said hello", NoneTakes),
    ("UPDATE farm.builder SET last_seen_at = now() - interval '1 hour'", Away, "was last heard of ", NoneTakes),
    ("UPDATE farm.builder SET arches = '{s390x}'", OtherArch, "builds for s390x only", NoBuilder),
    ("UPDATE farm.builder SET platforms = '{}'", NotServed, "does not serve a-x86_64", NoBuilder),
    (
        "INSERT INTO farm.builder_status SELECT id, instance, 'the load is 9.5', 9.5, 1, 1, 1, 1 FROM farm.builder",
        TakesNothing,
        "takes nothing: the load is 9.5",
        NoneTakes,
    ),
    ("UPDATE farm.builder SET slots = 0", Full, "is full: 0 of 0 slots", NoneTakes),
    (
        "UPDATE farm.task SET weight = 3; UPDATE farm.builder SET slots = 3;
         INSERT INTO farm.lease (task_id, attempt, builder_id, token, expires_at)
           SELECT min(id), 1, (SELECT id FROM farm.builder), gen_random_uuid(), now() FROM farm.task",
        LittleRoom,
        "has 2 slots free, and the task takes 3",
        Busy,
    ),
    ("UPDATE farm.builder SET saves_for = (SELECT min(id) FROM farm.task)", KeptForAnother, "keeps its slots for task ", Busy),
    ("UPDATE farm.ready SET avoid = (SELECT array_agg(id) FROM farm.builder)", SpoiltIt, "spoilt it before: until ", Busy),
    (
        "UPDATE farm.job SET class = 'background'; UPDATE farm.builder SET slots = 2, spare_slots = 2",
        SpareSlots,
        "leaves 2 slots to tasks that are not background: 2 free",
        Busy,
    ),
    (
        "UPDATE farm.task SET weight = 9; UPDATE farm.builder SET slots = 9, saves_for = (SELECT max(id) FROM farm.task);
         INSERT INTO farm.lease (task_id, attempt, builder_id, token, expires_at)
           SELECT min(id), 1, (SELECT id FROM farm.builder), gen_random_uuid(), now() FROM farm.task",
        KeptForIt,
        "keeps its slots for it: 8 of the 9 that it takes are free",
        Busy,
    ),
    ("UPDATE farm.platform SET enabled = false", PlatformDisabled, "serves its platform, which is disabled", PlatformDisabled),
    (
        "UPDATE farm.ready SET not_before = now() + interval '1 hour'",
        BackingOff,
        "may take it after ",
        BackingOff,
    ),
];

/// What is done to the task, and its reason.
const OF_TASKS: &[(&str, WaitReason, &str)] = &[
    ("", Line, "a builder has a free slot, and those ahead are given theirs first"),
    ("DELETE FROM farm.ready WHERE task_id <> $TASK", Next, "a builder has a free slot; it should begin"),
    ("DELETE FROM farm.ready WHERE task_id = $TASK", NotQueued, "it is pending, and yet not in the queue"),
    ("DELETE FROM farm.builder", NoBuilder, "no builder can take it now: none is registered"),
    (
        "UPDATE farm.builder SET left_at = now(), instance = NULL, slots = 0, arches = '{}', last_seen_at = NULL",
        NoBuilder,
        "no builder can take it now: none is registered",
    ),
    ("UPDATE farm.task SET state = 'waiting'", After, "it comes after "),
    ("UPDATE farm.task SET state = 'leased', attempts = 1", Building, "builder "),
    ("UPDATE farm.task SET state = 'succeeded', attempts = 1, finished_at = now()", Built, "it was built"),
    ("UPDATE farm.task SET cause = 'internal', finished_at = now(), state = 'failed', message = 'no'", Failed, "no"),
    ("UPDATE farm.task SET cause = 'internal', finished_at = now(), state = 'failed'", Failed, "it failed"),
    (
        "UPDATE farm.task SET cause = 'internal', finished_at = now(), state = 'failed', set_aside_at = now(), message = 'look'",
        SetAside,
        "look",
    ),
    (
        "UPDATE farm.task SET cause = 'internal', finished_at = now(), state = 'cancelled'",
        Cancelled,
        "it was cancelled",
    ),
];

/// Does what also cannot be brought about by one builder and one task, asks, and undoes it.
fn asked_when(conn: &mut PgConnection, job: JobId, change: &str) -> Why {
    conn.test_transaction::<_, farm_db::DbError, _>(|conn| {
        conn.batch_execute(&format!("SET LOCAL session_replication_role = replica; {change}"))?;
        Ok(asked(conn, job))
    })
}

#[test]
fn there_is_a_reason_for_everything_and_each_is_said() {
    let (_db, mut conn) = database();
    testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    let mut said = vec![asked(&mut conn, job).builders[0].reason];
    assert_eq!(said, [Room]);
    for (change, reason, words, of_task) in OF_BUILDERS {
        let why = asked_when(&mut conn, job, change);
        let told = &why.builders[0];
        assert!(!told.could_take_it && told.reason == *reason && told.summary.starts_with(words), "{change}: {told:?}");
        assert_eq!(why.reason, *of_task, "{change}");
        if !matches!(reason, PlatformDisabled | BackingOff) {
            assert_eq!(why.summary, format!("no builder can take it now: one {}", told.summary), "{change}");
        }
        said.extend([why.reason, told.reason]);
    }
    let task = task_of(&mut conn, job).to_string();
    for (change, reason, words) in OF_TASKS {
        let why = asked_when(&mut conn, job, &change.replace("$TASK", &task));
        assert!(why.reason == *reason && why.summary.starts_with(words), "{change}: {why:?}");
        assert_eq!(why.builders.is_empty(), why.state != TaskState::Pending || *reason == NoBuilder, "{change}");
        said.push(why.reason);
    }
    let never: Vec<_> = WaitReason::ALL.iter().filter(|reason| !said.contains(reason)).collect();
    assert!(never.is_empty(), "nothing brings about {never:?}");
}

/// The weight of a task that is waiting.
const WEIGHTS: &[&str] = &[
    "",
    "UPDATE farm.task SET weight = 2; UPDATE farm.ready SET weight = 2",
    "UPDATE farm.task SET weight = 9; UPDATE farm.ready SET weight = 9",
];

/// How many slots are used.
const USED: &[&str] = &["", "UPDATE farm.lease SET weight = 3", "UPDATE farm.lease SET weight = 4"];

/// What the builder keeps its slots for.
const SAVED: &[&str] = &[
    "",
    "UPDATE farm.builder SET saves_for = $TASK",
    "UPDATE farm.builder SET saves_for = $OTHER",
    "UPDATE farm.builder SET saves_for = $OTHER; UPDATE farm.task SET class = 'urgent' WHERE id = $TASK;
         UPDATE farm.ready SET class = 'urgent' WHERE task_id = $TASK",
];

/// What can be in the way: any one of the first list, with any one of the second, and so on.
const CAN_BE: &[&[&str]] = &[
    &[
        "",
        "UPDATE farm.platform SET enabled = false",
        "UPDATE farm.builder SET state = 'disabled'",
        "UPDATE farm.builder SET state = 'draining'",
        "UPDATE farm.builder SET arches = '{s390x}'",
        "UPDATE farm.builder SET platforms = '{}'",
    ],
    &[
        "",
        "UPDATE farm.ready SET not_before = now() + interval '1 minute'",
        "UPDATE farm.ready SET not_before = now() + interval '1 minute', avoid = (SELECT array_agg(id) FROM farm.builder)",
        "UPDATE farm.ready SET avoid = (SELECT array_agg(id) FROM farm.builder)",
        "UPDATE farm.ready SET not_before = now() - interval '1 hour', avoid = (SELECT array_agg(id) FROM farm.builder)",
    ],
    WEIGHTS,
    USED,
    SAVED,
];

/// The same, of what spare slots have to do with.
const CAN_BE_OF_SPARE_SLOTS: &[&[&str]] = &[
    WEIGHTS,
    USED,
    SAVED,
    &["", "UPDATE farm.job SET class = 'background'; UPDATE farm.ready SET background = true"],
    &["", "UPDATE farm.builder SET spare_slots = 1", "UPDATE farm.builder SET spare_slots = 4"],
];

fn combinations(rest: &[&[&str]]) -> Vec<String> {
    let Some((first, rest)) = rest.split_first() else { return vec![String::new()] };
    let behind = combinations(rest);
    first.iter().flat_map(|change| behind.iter().map(move |more| format!("{change}; {more}"))).collect()
}

#[test]
fn a_builder_takes_a_task_exactly_when_nothing_is_said_to_be_in_the_way() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    builder.claim_one(&mut conn);
    let jobs = [0; 2].map(|_| testing::accepted(&mut conn, &[PLATFORM]));
    let [task, other] = jobs.map(|job| task_of(&mut conn, job));
    let mut taken = 0;
    for change in combinations(CAN_BE).into_iter().chain(combinations(CAN_BE_OF_SPARE_SLOTS)) {
        let change = change.replace("$TASK", &task.to_string()).replace("$OTHER", &other.to_string());
        let (why, claimed) = conn.test_transaction::<_, farm_db::DbError, _>(|conn| {
            conn.batch_execute(&format!("SET LOCAL session_replication_role = replica; {change}"))?;
            let free = 4 - text(conn, "SELECT weight::text AS text FROM farm.lease").parse::<u32>().unwrap();
            let why = read::why(conn, Viewer::ANYBODY, task)?;
            let claimed = if free > 0 { builder.claim(conn, free) } else { Vec::new() };
            Ok((why, claimed.iter().any(|key| key.task == task)))
        });
        assert!(
            !why.summary.is_empty() && why.builders.iter().all(|told| !told.summary.is_empty()),
            "{change}: {why:?}"
        );
        assert_eq!(why.builders[0].could_take_it, why.builders[0].reason == Room, "{change}");
        assert_eq!(why.reason == Next, claimed, "{change}: {why:?}");
        taken += usize::from(claimed);
    }
    assert!(taken > 0);
}
