//! Weights, lives of builders that hand over, and hubs that are away.

use diesel::PgConnection;
use farm_api::hub::{Hello, Renew, Status};
use farm_db::{
    queue,
    testing::{self, TestBuilder},
};
use farm_types::{BuilderState, LeaseKey, TaskId};

use crate::support::{PLATFORM, assert_sound, database, execute, expire_leases, task_of, text};

/// A task of this weight.
fn task(conn: &mut PgConnection, weight: u16) -> TaskId {
    execute(conn, &format!("UPDATE farm.platform SET recipe = recipe || jsonb_build_object('weight', {weight})"));
    let job = testing::accepted(conn, &[PLATFORM]);
    task_of(conn, job)
}

/// A builder of that many slots.
fn builder(conn: &mut PgConnection, name: &str, slots: u32) -> TestBuilder {
    let builder = testing::builder(conn, name);
    execute(conn, &format!("UPDATE farm.builder SET slots = {slots} WHERE name = '{name}'"));
    builder
}

fn claim(conn: &mut PgConnection, builder: TestBuilder, free: u32) -> Vec<TaskId> {
    builder.claim(conn, free).iter().map(|key| key.task).collect()
}

fn end(conn: &mut PgConnection, builder: TestBuilder, task: TaskId) {
    let token = format!("SELECT token::text AS text FROM farm.lease WHERE task_id = {task}");
    let token = text(conn, &token).parse().unwrap();
    let key = LeaseKey { task, attempt: farm_types::AttemptNumber(1), token: farm_types::LeaseToken(token) };
    builder.finish(conn, &key, farm_types::Outcome::Succeeded).unwrap();
}

#[test]
fn what_a_builder_is_given_weighs_no_more_than_its_free_slots() {
    let (_db, mut conn) = database();
    let one = builder(&mut conn, "one", 8);
    let tasks = [1, 3, 2, 2].map(|weight| task(&mut conn, weight));
    let claimed = queue::claim(&mut conn, one.id, one.instance, 6, 60).unwrap();
    let weights: Vec<_> = claimed.iter().map(|task| task.weight).collect();
    assert_eq!(weights, [1, 3, 2]);
    assert_eq!(claim(&mut conn, one, 2), [tasks[3]]);
    assert_sound(&mut conn);
}

#[test]
fn a_task_that_weighs_more_than_a_builder_has_takes_all_of_it() {
    let (_db, mut conn) = database();
    let small = builder(&mut conn, "small", 2);
    task(&mut conn, 64);
    let claimed = queue::claim(&mut conn, small.id, small.instance, 2, 60).unwrap();
    assert_eq!(claimed.iter().map(|task| task.weight).collect::<Vec<_>>(), [2]);
    assert_sound(&mut conn);
}

#[test]
fn a_builder_keeps_its_slots_for_the_next_task_that_does_not_fit_and_light_ones_do_not_go_past_it() {
    let (_db, mut conn) = database();
    let one = builder(&mut conn, "one", 4);
    let at_work = task(&mut conn, 1);
    assert_eq!(claim(&mut conn, one, 4), [at_work]);
    let heavy = task(&mut conn, 4);
    let light = task(&mut conn, 1);
    assert_eq!(claim(&mut conn, one, 3), []);
    assert_eq!(queue::saves_slots(&mut conn, one.id).unwrap(), Some(4));
    // Also one that comes in later and goes before it: somebody else's first.
    let new = testing::submission(&mut conn, "bob");
    let (job, _) = farm_db::intake::submit(&mut conn, &new).unwrap();
    execute(&mut conn, "UPDATE farm.platform SET recipe = recipe - 'weight'");
    testing::accept(&mut conn, job, &[PLATFORM]);
    let bobs = task_of(&mut conn, job);
    assert_eq!(claim(&mut conn, one, 3), []);
    end(&mut conn, one, at_work);
    assert_eq!(claim(&mut conn, one, 4), [heavy]);
    assert_eq!(queue::saves_slots(&mut conn, one.id).unwrap(), None);
    end(&mut conn, one, heavy);
    assert_eq!([claim(&mut conn, one, 1), claim(&mut conn, one, 1)], [[bobs], [light]]);
    assert_sound(&mut conn);
}

#[test]
fn what_is_urgent_is_given_to_a_builder_that_keeps_its_slots_for_what_is_not() {
    let (_db, mut conn) = database();
    let one = builder(&mut conn, "one", 2);
    task(&mut conn, 2);
    assert_eq!(claim(&mut conn, one, 1), []);
    let urgent = task(&mut conn, 1);
    execute(&mut conn, &format!("UPDATE farm.ready SET class = 'urgent' WHERE task_id = {urgent}"));
    execute(&mut conn, &format!("UPDATE farm.task SET class = 'urgent' WHERE id = {urgent}"));
    execute(
        &mut conn,
        &format!("UPDATE farm.job SET class = 'urgent' FROM farm.task t WHERE t.job_id = job.id AND t.id = {urgent}"),
    );
    assert_eq!(claim(&mut conn, one, 1), [urgent]);
    assert_sound(&mut conn);
}

#[test]
fn one_builder_keeps_its_slots_for_a_heavy_task_and_the_others_go_past_it() {
    let (_db, mut conn) = database();
    let (one, two) = (builder(&mut conn, "one", 4), builder(&mut conn, "two", 4));
    let heavy = task(&mut conn, 4);
    let light = [(); 2].map(|()| task(&mut conn, 1));
    assert_eq!(claim(&mut conn, one, 3), []);
    assert_eq!(claim(&mut conn, two, 1), [light[0]]);
    assert_eq!(queue::saves_slots(&mut conn, two.id).unwrap(), None);
    // Whoever has room first takes it.
    assert_eq!(claim(&mut conn, two, 4), [heavy]);
    assert_eq!(claim(&mut conn, one, 3), [light[1]]);
    assert_sound(&mut conn);
}

#[test]
fn a_builder_that_went_away_or_takes_nothing_keeps_no_task_from_the_others() {
    for gone in [
        "UPDATE farm.builder SET last_seen_at = now() - interval '10 minutes' WHERE name = 'one'",
        "UPDATE farm.builder SET state = 'draining' WHERE name = 'one'",
        "INSERT INTO farm.builder_status SELECT id, instance, 'short of something', 0, 1, 0, 0, 0 FROM farm.builder WHERE name = 'one'",
    ] {
        let (_db, mut conn) = database();
        let (one, two) = (builder(&mut conn, "one", 4), builder(&mut conn, "two", 4));
        task(&mut conn, 4);
        task(&mut conn, 1);
        assert_eq!(claim(&mut conn, one, 3), []);
        execute(&mut conn, gone);
        assert_eq!(claim(&mut conn, two, 3), [], "{gone}");
        assert_eq!(queue::saves_slots(&mut conn, two.id).unwrap(), Some(4), "{gone}");
    }
}

fn hello(conn: &mut PgConnection, builder: TestBuilder) {
    let hello = Hello {
        name: "unused".parse().unwrap(),
        instance: builder.instance,
        version: "test".to_owned(),
        arches: vec!["x86_64".to_owned()],
        slots: 4,
        successor: false,
    };
    queue::hello(conn, builder.id, "127.0.0.1", &hello).unwrap();
}

fn renewed(conn: &mut PgConnection, builder: TestBuilder, key: LeaseKey) -> bool {
    let renew = Renew { instance: builder.instance, leases: vec![key], wait_seconds: 0 };
    queue::renew(conn, builder.id, &renew, 60).unwrap().is_empty()
}

#[test]
fn what_a_life_holds_that_hands_over_stays_with_it() {
    let (_db, mut conn) = database();
    let first = testing::builder(&mut conn, "one");
    for _ in 0..3 {
        testing::accepted(&mut conn, &[PLATFORM]);
    }
    let of_first = first.claim_one(&mut conn);
    queue::leave(&mut conn, first.id, first.instance).unwrap();
    let second = first.succeeded(&mut conn);
    assert!(renewed(&mut conn, first, of_first));
    assert!(queue::claim(&mut conn, first.id, first.instance, 1, 60).is_err());
    let of_second = second.claim_one(&mut conn);
    // The second one hands over to nobody: what it held goes back, what the first one holds stays.
    let third = first.succeeded(&mut conn);
    assert!(renewed(&mut conn, first, of_first) && !renewed(&mut conn, second, of_second));
    first.finish(&mut conn, &of_first, farm_types::Outcome::Succeeded).unwrap();
    assert_eq!(third.claim(&mut conn, 4).len(), 2);
    assert_sound(&mut conn);
}

#[test]
fn of_a_builder_that_is_started_anew_in_the_middle_of_a_handover_no_life_goes_on() {
    let (_db, mut conn) = database();
    let first = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = first.claim_one(&mut conn);
    queue::leave(&mut conn, first.id, first.instance).unwrap();
    let anew = first.restarted(&mut conn);
    assert!(!renewed(&mut conn, first, key));
    assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.leaving"), "0");
    assert_eq!(anew.claim(&mut conn, 1).len(), 1);
    assert_sound(&mut conn);
}

#[test]
fn a_life_that_could_not_hand_over_goes_on() {
    let (_db, mut conn) = database();
    let first = testing::builder(&mut conn, "one");
    for _ in 0..3 {
        testing::accepted(&mut conn, &[PLATFORM]);
    }
    let of_first = first.claim_one(&mut conn);
    queue::leave(&mut conn, first.id, first.instance).unwrap();
    let failed = first.succeeded(&mut conn);
    let of_failed = failed.claim_one(&mut conn);
    hello(&mut conn, first);
    assert!(renewed(&mut conn, first, of_first) && !renewed(&mut conn, failed, of_failed));
    assert_eq!(first.claim(&mut conn, 4).len(), 2);
    // Its next life is one like any other.
    first.restarted(&mut conn);
    assert!(!renewed(&mut conn, first, of_first));
    assert_sound(&mut conn);
}

#[test]
fn no_lease_runs_out_while_no_hub_is_there_nor_in_a_leases_time_after_one_came_back() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = builder.claim_one(&mut conn);
    expire_leases(&mut conn);
    let hubs = |conn: &mut PgConnection, at: &str, since: &str| {
        execute(
            conn,
            &format!(
                "INSERT INTO farm.hub_pulse VALUES (true, now() - interval '{at}', now() - interval '{since}', '60 s')
                 ON CONFLICT (only_row) DO UPDATE SET at = excluded.at, since = excluded.since"
            ),
        );
    };
    hubs(&mut conn, "10 minutes", "1 hour");
    assert_eq!(queue::reap(&mut conn, 0).unwrap(), 0, "no hub is there");
    // One is back: the silence ends, and a new one begins to count.
    queue::pulse(&mut conn, 60).unwrap();
    assert_eq!(text(&mut conn, "SELECT (since = at)::text AS text FROM farm.hub_pulse"), "true");
    assert_eq!(queue::reap(&mut conn, 0).unwrap(), 0, "nobody had the time to renew");
    assert!(renewed(&mut conn, builder, key));
    expire_leases(&mut conn);
    hubs(&mut conn, "5 seconds", "2 minutes");
    queue::pulse(&mut conn, 60).unwrap();
    assert_eq!(
        text(&mut conn, "SELECT (since < now() - interval '1 minute')::text AS text FROM farm.hub_pulse"),
        "true"
    );
    assert_eq!(queue::reap(&mut conn, 0).unwrap(), 1);
    assert_sound(&mut conn);
}

#[test]
fn hubs_that_have_no_pulse_are_none_that_are_away() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    builder.claim_one(&mut conn);
    expire_leases(&mut conn);
    execute(
        &mut conn,
        "INSERT INTO farm.hub_pulse VALUES (true, now() - interval '2 days', now() - interval '3 days', '60 s')",
    );
    assert_eq!(queue::reap(&mut conn, 0).unwrap(), 1);
}

#[test]
fn a_builder_says_how_it_stands_and_learns_what_is_wanted_of_it() {
    let (_db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    let status = Status {
        instance: one.instance,
        reason: Some("it is short of memory".to_owned()),
        load: 0.5,
        processors: 2,
        memory_available: 1 << 30,
        disk_available: u64::MAX,
        files_available: 7,
    };
    let wanted = queue::tell_status(&mut conn, one.id, &status).unwrap();
    assert_eq!((wanted.state, wanted.reason), (BuilderState::Enabled, None));
    let shown =
        "SELECT takes_nothing || ' ' || memory_available || ' ' || files_available AS text FROM farm.builder_view";
    assert_eq!(text(&mut conn, shown), "it is short of memory 1073741824 7");
    // Of a life that is over nothing is shown.
    let anew = one.restarted(&mut conn);
    let nothing = "SELECT (told_at IS NULL)::text AS text FROM farm.builder_view";
    assert_eq!(text(&mut conn, nothing), "true");
    queue::tell_status(&mut conn, one.id, &status).unwrap();
    assert_eq!(text(&mut conn, nothing), "true");
    queue::tell_status(&mut conn, one.id, &Status { instance: anew.instance, reason: None, ..status }).unwrap();
    assert_eq!(
        text(&mut conn, "SELECT (takes_nothing IS NULL AND load = 0.5)::text AS text FROM farm.builder_view"),
        "true"
    );
}
