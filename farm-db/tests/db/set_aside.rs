//! Tasks that are set aside, and builders that are taken out of service.

use diesel::PgConnection;
use farm_api::hub::Finish;
use farm_db::{
    chores, notices, operator, queue,
    read::{self, RegisteredBuilder},
    testing::{self, TestBuilder},
};
use farm_types::{BuilderState, JobId, LeaseKey, Outcome, Stage};

use crate::support::{PLATFORM, assert_sound, database, end_backoffs, execute, expire_leases, state, text, texts};

/// The builder dies while it is at a task, and is started anew.
fn dies(conn: &mut PgConnection, builder: TestBuilder) -> TestBuilder {
    builder.claim_one(conn);
    builder.restarted(conn)
}

/// The builder fails by its own fault at that stage.
fn fails_at(conn: &mut PgConnection, builder: TestBuilder, key: &LeaseKey, stage: Stage) {
    let end = Finish { stage: Some(stage), message: "no room".to_owned(), ..testing::ended(Outcome::FarmFault) };
    queue::finish(conn, builder.id, key, &end).unwrap();
}

/// The builder spoils a task of its own: the only one that there is to claim.
fn spoils_another(conn: &mut PgConnection, builder: TestBuilder) {
    let job = testing::accepted(conn, &[PLATFORM]);
    let key = builder.claim_one(conn);
    fails_at(conn, builder, &key, Stage::Chroot);
    put_away(conn, job);
}

/// Nobody else is given it.
fn put_away(conn: &mut PgConnection, job: JobId) {
    queue::cancel_job(conn, &testing::operator(), job).unwrap();
}

fn builder_named(conn: &mut PgConnection, name: &str) -> RegisteredBuilder {
    read::registered_builders(conn).unwrap().into_iter().find(|b| b.builder.name.as_str() == name).unwrap()
}

fn told(conn: &mut PgConnection) -> Vec<String> {
    texts(conn, "SELECT subject AS text FROM farm.notice ORDER BY id")
}

#[test]
fn a_task_that_takes_three_builders_with_it_is_set_aside_with_the_evidence() {
    let (_db, mut conn) = database();
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    for name in ["one", "two", "three"] {
        let builder = testing::builder(&mut conn, name);
        let key = builder.claim_one(&mut conn);
        queue::stage_began(&mut conn, builder.id, &key, Stage::Build).unwrap();
        queue::append_log(&mut conn, builder.id, &key, 0, 1, b"x").unwrap();
        expire_leases(&mut conn);
        assert_eq!(queue::reap(&mut conn, 0).unwrap(), 1);
    }
    let tasks = read::set_aside(&mut conn, farm_db::Viewer::ANYBODY).unwrap();
    assert_eq!((tasks.len(), tasks[0].job, tasks[0].set_aside.is_some()), (1, job, true));
    let (task, why) = (tasks[0].id, tasks[0].message.clone().unwrap());
    for (n, name) in [(1, "one"), (2, "two"), (3, "three")] {
        let line = format!(
            "attempt {n} on {name}, lost in build after 0 seconds: the builder went silent and its lease ran out, log at /tasks/{task}?attempt={n}"
        );
        assert!(why.contains(&line), "{why}");
    }
    assert!(why.ends_with(&format!("`farm-admin set-aside put-back {task}`")), "{why}");
    assert_eq!(told(&mut conn), [format!("task {task} (a test on {PLATFORM}) was set aside: it lost three builders")]);
    assert_sound(&mut conn);
}

#[test]
fn a_retry_leaves_what_is_set_aside_and_an_administrator_puts_it_back() {
    let (_db, mut conn) = database();
    let mut builder = testing::builder(&mut conn, "only");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    for _ in 0..3 {
        builder = dies(&mut conn, builder);
    }
    let task = read::set_aside(&mut conn, farm_db::Viewer::ANYBODY).unwrap()[0].id;
    for who in [testing::person("alice"), testing::operator()] {
        let refused = queue::retry_job(&mut conn, &who, job, false).unwrap_err().to_string();
        assert!(refused.contains("is set aside"), "{refused}");
    }
    let refused = operator::put_back(&mut conn, &testing::person("alice"), task).unwrap_err().to_string();
    assert!(refused.contains("it takes the right “admin”"), "{refused}");
    operator::put_back(&mut conn, &testing::operator(), task).unwrap();
    assert_eq!(state(&mut conn, job), "pending");
    assert!(operator::put_back(&mut conn, &testing::operator(), task).is_err(), "it is not set aside any more");
    let key = builder.claim_one(&mut conn);
    builder.finish(&mut conn, &key, Outcome::Succeeded).unwrap();
    assert_sound(&mut conn);
}

#[test]
fn an_outage_of_the_hubs_and_an_operators_hand_take_no_task_aside() {
    let (_db, mut conn) = database();
    let mut builder = testing::builder(&mut conn, "only");
    let job = testing::accepted(&mut conn, &[PLATFORM]);
    for _ in 0..3 {
        // A hub has just come back.
        execute(
            &mut conn,
            "INSERT INTO farm.hub_pulse VALUES (true, now(), now() + interval '1 second', '60 s')
             ON CONFLICT (only_row) DO UPDATE SET since = excluded.since, at = now()",
        );
        builder = dies(&mut conn, builder);
        execute(&mut conn, "DELETE FROM farm.hub_pulse");
        builder.claim_one(&mut conn);
        operator::set_builder_state(
            &mut conn,
            &testing::operator(),
            &"only".parse().unwrap(),
            BuilderState::Draining,
            None,
        )
        .unwrap();
        builder = builder.restarted(&mut conn);
        operator::set_builder_state(
            &mut conn,
            &testing::operator(),
            &"only".parse().unwrap(),
            BuilderState::Enabled,
            None,
        )
        .unwrap();
    }
    assert_eq!(state(&mut conn, job), "pending");
    assert_eq!(text(&mut conn, "SELECT format('%s of %s', lost, attempts) AS text FROM farm.task"), "0 of 6");
    assert_sound(&mut conn);
}

#[test]
fn a_builder_that_spoils_three_tasks_in_a_row_is_taken_out_of_service_until_somebody_puts_it_back() {
    let (_db, mut conn) = database();
    let (bad, _good) = (testing::builder(&mut conn, "bad"), testing::builder(&mut conn, "good"));
    for _ in 0..2 {
        spoils_another(&mut conn, bad);
    }
    assert_eq!(builder_named(&mut conn, "bad").builder.state, BuilderState::Enabled);
    spoils_another(&mut conn, bad);
    let found = builder_named(&mut conn, "bad").builder;
    assert!(found.state == BuilderState::Disabled && found.out.is_some());
    let why = found.reason.unwrap();
    assert!(
        why.starts_with(
            "the farm took it out of service: it spoilt 3 tasks in a row by its own fault: task 3 in chroot: no room; "
        ),
        "{why}"
    );
    assert!(why.ends_with("`farm-admin builder enable bad` puts it back"), "{why}");
    assert_eq!(told(&mut conn), ["builder bad was taken out of service"]);
    let audit = "SELECT object AS text FROM farm.audit WHERE action = 'take out of service'";
    assert_eq!(texts(&mut conn, audit), ["builder bad"]);
    let faults = chores::judge_doubtful(&mut conn).unwrap();
    assert!(faults.out.len() == 1 && faults.out[0].starts_with("builder bad is out of service since "), "{faults:?}");

    testing::accepted(&mut conn, &[PLATFORM]);
    assert!(bad.claim(&mut conn, 1).is_empty(), "it is given nothing");
    operator::set_builder_state(&mut conn, &testing::operator(), &"bad".parse().unwrap(), BuilderState::Enabled, None)
        .unwrap();
    assert!(builder_named(&mut conn, "bad").builder.out.is_none());
    let key = bad.claim_one(&mut conn);
    fails_at(&mut conn, bad, &key, Stage::Chroot);
    assert_eq!(builder_named(&mut conn, "bad").builder.state, BuilderState::Enabled, "what was before is forgotten");
    assert_sound(&mut conn);
}

#[test]
fn work_that_is_done_in_between_ends_the_row_and_so_does_a_task_that_others_spoil_as_well() {
    let (_db, mut conn) = database();
    let (one, other) = (testing::builder(&mut conn, "one"), testing::builder(&mut conn, "other"));
    for outcome in [Outcome::Succeeded, Outcome::Failed] {
        for _ in 0..2 {
            spoils_another(&mut conn, one);
        }
        testing::accepted(&mut conn, &[PLATFORM]);
        let key = one.claim_one(&mut conn);
        one.finish(&mut conn, &key, outcome).unwrap();
    }
    for _ in 0..4 {
        let job = testing::accepted(&mut conn, &[PLATFORM]);
        for builder in [other, one] {
            let key = builder.claim_one(&mut conn);
            fails_at(&mut conn, builder, &key, Stage::Chroot);
            end_backoffs(&mut conn);
        }
        put_away(&mut conn, job);
    }
    assert_eq!(["one", "other"].map(|name| builder_named(&mut conn, name).builder.state), [BuilderState::Enabled; 2]);
    assert_sound(&mut conn);
}

#[test]
fn the_faults_of_hub_and_store_are_not_the_builders_and_one_crash_is_one_loss() {
    let (_db, mut conn) = database();
    let (one, _other) = (testing::builder(&mut conn, "one"), testing::builder(&mut conn, "other"));
    for stage in [Stage::Fetch, Stage::Upload, Stage::Fetch, Stage::Upload] {
        let job = testing::accepted(&mut conn, &[PLATFORM]);
        let key = one.claim_one(&mut conn);
        fails_at(&mut conn, one, &key, stage);
        put_away(&mut conn, job);
    }
    for _ in 0..4 {
        testing::accepted(&mut conn, &[PLATFORM]);
    }
    assert_eq!(one.claim(&mut conn, 4).len(), 4);
    one.restarted(&mut conn);
    assert_eq!(builder_named(&mut conn, "one").builder.state, BuilderState::Enabled);
    assert_sound(&mut conn);
}

#[test]
fn when_all_builders_fail_half_of_them_stay_and_the_operators_are_told_once() {
    let (_db, mut conn) = database();
    let builders = ["a", "b", "c", "d", "e"].map(|name| testing::builder(&mut conn, name));
    for builder in builders {
        for _ in 0..3 {
            spoils_another(&mut conn, builder);
        }
    }
    let out = "SELECT name::text AS text FROM farm.builder WHERE out_at IS NOT NULL ORDER BY name";
    assert_eq!(texts(&mut conn, out), ["a", "b"]);
    assert_eq!(
        told(&mut conn)[2..],
        ["c", "d", "e"].map(|name| format!("builder {name} spoils its tasks and cannot be spared"))
    );
    let faults = chores::judge_doubtful(&mut conn).unwrap();
    assert_eq!((faults.out.len(), faults.doubts.len()), (2, 3));
    assert!(faults.doubts[0].contains("so it may be the farm's own fault"), "{:?}", faults.doubts);
    assert_eq!(told(&mut conn).len(), 5, "once a day is enough");

    // Two new ones come up: now the first of them can be spared, and is taken out by the janitor.
    for name in ["f", "g"] {
        testing::builder(&mut conn, name);
    }
    assert_eq!(chores::judge_doubtful(&mut conn).unwrap().doubts.len(), 2);
    assert_eq!(texts(&mut conn, out), ["a", "b", "c"]);
    operator::set_trust(&mut conn, &testing::operator(), 0).unwrap();
    assert!(chores::judge_doubtful(&mut conn).unwrap().doubts.is_empty(), "nobody is judged any more");
    assert_sound(&mut conn);
}

#[test]
fn a_notice_is_taken_by_one_and_comes_again_when_nobody_says_what_came_of_it() {
    let (db, mut conn) = database();
    execute(&mut conn, "SELECT farm.tell('task 1', 'first', 'text'), farm.tell('builder b', E'two\nlines', 'text')");
    let mut other = db.connect_as("farm_janitor");
    let first = notices::take(&mut conn, 300).unwrap().unwrap();
    let second = notices::take(&mut other, 300).unwrap().unwrap();
    assert_eq!((first.subject.as_str(), second.subject.as_str()), ("first", "two lines"));
    assert!(notices::take(&mut other, 300).unwrap().is_none(), "both are taken");
    notices::end(&mut other, second.id, Some("no server")).unwrap();
    assert_eq!(notices::unsent(&mut other).unwrap().count, 1);
    execute(&mut conn, "UPDATE farm.notice SET next_try_at = now()");
    let again = notices::take(&mut other, 300).unwrap().unwrap();
    assert_eq!((again.id, again.tries), (first.id, 2));
    for id in [first.id, second.id] {
        notices::end(&mut other, id, None).unwrap();
    }
    execute(&mut conn, "UPDATE farm.notice SET next_try_at = now(), at = now() - interval '31 days'");
    assert!(notices::take(&mut other, 300).unwrap().is_none());
    assert_eq!(notices::forget(&mut other).unwrap(), 2);
}

#[test]
fn an_attempt_that_its_builder_never_heard_of_says_nothing_about_task_or_builder() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "only");
    testing::accepted(&mut conn, &[PLATFORM]);
    let blame = "SELECT string_agg(blameless::text, ' ' ORDER BY number) AS text FROM farm.attempt";
    // It is heard of long after it was given the task, and has not begun it.
    let is_heard_of = "UPDATE farm.builder SET last_seen_at = now() + interval '20 seconds'";
    builder.claim_one(&mut conn);
    execute(&mut conn, is_heard_of);
    expire_leases(&mut conn);
    assert_eq!(queue::reap(&mut conn, 0).unwrap(), 1);
    assert_eq!(text(&mut conn, blame), "true");
    // It has begun it.
    let key = builder.claim_one(&mut conn);
    queue::stage_began(&mut conn, builder.id, &key, Stage::Fetch).unwrap();
    execute(&mut conn, is_heard_of);
    expire_leases(&mut conn);
    assert_eq!(queue::reap(&mut conn, 0).unwrap(), 1);
    assert_eq!(text(&mut conn, blame), "true false");
    // It is not heard of any more.
    end_backoffs(&mut conn);
    execute(&mut conn, "UPDATE farm.builder SET last_seen_at = now()");
    builder.claim_one(&mut conn);
    expire_leases(&mut conn);
    assert_eq!(queue::reap(&mut conn, 0).unwrap(), 1);
    assert_eq!(text(&mut conn, blame), "true false false");
    assert_sound(&mut conn);
}
