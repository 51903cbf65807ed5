//! Claims of tasks by their keys.

use std::{collections::HashSet, sync::Barrier, thread};

use farm_db::{
    queue,
    testing::{self, TestBuilder, ended},
};
use farm_types::Outcome;

use super::{ROUNDS, given, look, operator_disables, pick};
use crate::support::{PLATFORM, assert_sound, database, execute, state, task_of, text};

#[test]
fn two_hubs_that_pick_the_same_tasks_at_the_same_time_give_each_of_them_once() {
    let (db, mut conn) = database();
    let builders = [testing::builder(&mut conn, "one"), testing::builder(&mut conn, "two")];
    for _ in 0..ROUNDS {
        for _ in 0..12 {
            testing::accepted(&mut conn, &[PLATFORM]);
        }
        let keys = look(&mut conn);
        let start = Barrier::new(2);
        let claimed: Vec<_> = thread::scope(|scope| {
            let hub = |builder: TestBuilder| {
                let mut conn = db.connect();
                let picks: Vec<_> = keys.iter().map(|key| pick(key, builder)).collect();
                start.wait();
                queue::claim_keys(&mut conn, &picks, 60).unwrap()
            };
            let hubs = builders.map(|builder| scope.spawn(move || hub(builder)));
            hubs.into_iter().flat_map(|hub| hub.join().unwrap()).collect()
        });
        assert_eq!(claimed.len(), 12);
        assert_eq!(claimed.iter().map(|(_, task)| task.key.task).collect::<HashSet<_>>().len(), 12);
        assert_sound(&mut conn);
        let ends: Vec<_> =
            claimed.iter().map(|(builder, task)| (*builder, task.key, ended(Outcome::Succeeded))).collect();
        assert!(queue::finish_all(&mut conn, &ends).unwrap().iter().all(Result::is_ok));
    }
}

#[test]
fn a_task_picked_for_two_builders_goes_to_one_of_them() {
    let (_db, mut conn) = database();
    let (one, two) = (testing::builder(&mut conn, "one"), testing::builder(&mut conn, "two"));
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = look(&mut conn).remove(0);
    assert_eq!(given(&mut conn, &[pick(&key, one), pick(&key, two)]).len(), 1);
    assert_eq!(given(&mut conn, &[pick(&key, one)]), []);
    assert_sound(&mut conn);
}

#[test]
fn a_batch_gives_all_that_a_claim_gives() {
    let (_db, mut conn) = database();
    let builder = testing::builder(&mut conn, "one");
    let jobs = [(); 2].map(|()| testing::accepted(&mut conn, &[PLATFORM]));
    let picked = pick(&look(&mut conn)[0], builder);
    let (holder, by_key) = queue::claim_keys(&mut conn, &[picked], 60).unwrap().remove(0);
    let by_look = queue::claim(&mut conn, builder.id, builder.instance, 1, 60).unwrap().remove(0);
    assert_eq!(holder, builder.id);
    assert_eq!([by_key.job, by_look.job], jobs);
    for task in [&by_key, &by_look] {
        assert_eq!((task.recipe.name.as_str(), task.weight, task.sources.len()), (PLATFORM, 1, 1));
        assert_eq!(task.sources[0].label, "hello-1-1");
        queue::held(&mut conn, builder.id, &task.key).unwrap();
    }
    assert_sound(&mut conn);
}

/// Why a builder is not given a task, and what makes it so: `one` is the builder, and there is one task.
const OBSTACLES: &[(&str, &str)] = &[
    ("the builder is disabled", "UPDATE farm.builder SET state = 'disabled' WHERE name = 'one'"),
    ("the builder drains", "UPDATE farm.builder SET state = 'draining' WHERE name = 'one'"),
    ("the builder serves other platforms", "UPDATE farm.builder SET platforms = '{b-x86_64}' WHERE name = 'one'"),
    ("the builder has another architecture", "UPDATE farm.builder SET arches = '{s390x}' WHERE name = 'one'"),
    ("the platform is disabled", "UPDATE farm.platform SET enabled = false"),
    ("the builder saves its slots", "UPDATE farm.builder SET saves_for = 1 WHERE name = 'one'"),
    ("another life said hello", "UPDATE farm.builder SET instance = gen_random_uuid() WHERE name = 'one'"),
    ("the task is not due", "UPDATE farm.ready SET not_before = now() + interval '1 minute'"),
    (
        "the task avoids the builder",
        "UPDATE farm.ready SET avoid = ARRAY(SELECT id FROM farm.builder WHERE name = 'one')",
    ),
    (
        "the task is background, and the slot is spare",
        "WITH b AS (UPDATE farm.builder SET spare_slots = 1 WHERE name = 'one'), j AS (UPDATE farm.job SET class = 'background')
         UPDATE farm.ready SET background = true",
    ),
    ("the task is heavy", "WITH t AS (UPDATE farm.task SET weight = 2) UPDATE farm.ready SET weight = 2"),
];

#[test]
fn a_builder_is_not_given_by_key_what_it_may_not_have_and_the_task_stays_in_the_queue() {
    for (obstacle, sql) in OBSTACLES {
        let (_db, mut conn) = database();
        let one = testing::builder(&mut conn, "one");
        testing::accepted(&mut conn, &[PLATFORM]);
        let key = look(&mut conn).remove(0);
        execute(&mut conn, sql);
        assert_eq!(given(&mut conn, &[pick(&key, one)]), [], "{obstacle}");
        assert_eq!(text(&mut conn, "SELECT count(*)::text AS text FROM farm.ready"), "1", "{obstacle}");
        assert_sound(&mut conn);
    }
}

#[test]
fn a_pick_that_cannot_be_had_takes_none_from_the_others_of_its_batch() {
    let (_db, mut conn) = database();
    let (one, two) = (testing::builder(&mut conn, "one"), testing::builder(&mut conn, "two"));
    for _ in 0..2 {
        testing::accepted(&mut conn, &[PLATFORM]);
    }
    let keys = look(&mut conn);
    operator_disables(&mut conn, "one");
    assert_eq!(given(&mut conn, &[pick(&keys[0], one), pick(&keys[1], two)]), [(two.id, keys[1].task)]);
    assert_sound(&mut conn);
}

#[test]
fn better_the_builder_that_a_task_went_wrong_on_than_nobody_for_two_minutes() {
    let (_db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    testing::accepted(&mut conn, &[PLATFORM]);
    execute(
        &mut conn,
        "UPDATE farm.ready SET avoid = ARRAY(SELECT id FROM farm.builder), not_before = now() - interval '3 minutes'",
    );
    let key = look(&mut conn).remove(0);
    assert_eq!(key.avoid, [one.id]);
    assert_eq!(given(&mut conn, &[pick(&key, one)]).len(), 1);
}

#[test]
fn what_no_builder_could_make_anything_of_ends_at_once_and_the_others_are_given() {
    let (_db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    let jobs = [(); 2].map(|()| testing::accepted(&mut conn, &[PLATFORM]));
    execute(&mut conn, &format!("UPDATE farm.job SET options = '{{\"check\": 7}}' WHERE id = {}", jobs[0]));
    let picks: Vec<_> = look(&mut conn).iter().map(|key| pick(key, one)).collect();
    assert_eq!(given(&mut conn, &picks), [(one.id, task_of(&mut conn, jobs[1]))]);
    let fault = "SELECT outcome || ': ' || message AS text FROM farm.attempt WHERE outcome IS NOT NULL";
    let fault = text(&mut conn, fault);
    assert!(fault.starts_with("farm_fault: what the farm knows of the task cannot be read: "), "{fault}");
    assert_eq!(state(&mut conn, jobs[0]), "pending");
    assert_sound(&mut conn);
}

#[test]
fn a_batch_for_the_old_life_of_a_builder_against_the_hello_of_the_new_one_leaves_no_lease_behind() {
    let (db, mut conn) = database();
    let mut builder = testing::builder(&mut conn, "one");
    for _ in 0..ROUNDS {
        let job = testing::accepted(&mut conn, &[PLATFORM]);
        let picked = pick(&look(&mut conn)[0], builder);
        let start = Barrier::new(2);
        builder = thread::scope(|scope| {
            let hub = scope.spawn(|| {
                let mut conn = db.connect();
                start.wait();
                queue::claim_keys(&mut conn, &[picked], 60).unwrap();
            });
            let mut conn = db.connect();
            start.wait();
            let anew = builder.restarted(&mut conn);
            hub.join().unwrap();
            anew
        });
        assert_eq!(state(&mut conn, job), "pending");
        assert_sound(&mut conn);
        queue::cancel_job(&mut conn, &testing::operator(), job).unwrap();
    }
}
