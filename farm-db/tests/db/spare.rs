//! Spare slots: what background tasks leave free of a builder.

use diesel::PgConnection;
use farm_db::{
    intake::{self, Submission},
    operator,
    queue::{self, Lane},
    testing::{self, TestBuilder},
};
use farm_types::{Class, TaskId};

use crate::support::{PLATFORM, assert_sound, database, execute, task_of};

fn task_of_class(conn: &mut PgConnection, class: Class, weight: u16) -> TaskId {
    execute(conn, &format!("UPDATE farm.platform SET recipe = recipe || jsonb_build_object('weight', {weight})"));
    let who = if class == Class::Background { "release-engineer" } else { "alice" };
    let new = Submission { class, ..testing::submission(conn, who) };
    let (job, _) = intake::submit(conn, &new).unwrap();
    testing::accept(conn, job, &[PLATFORM]);
    task_of(conn, job)
}

fn background(conn: &mut PgConnection, weight: u16) -> TaskId {
    task_of_class(conn, Class::Background, weight)
}

fn normal(conn: &mut PgConnection, weight: u16) -> TaskId {
    task_of_class(conn, Class::Normal, weight)
}

fn builder(conn: &mut PgConnection, name: &str, slots: u32, spare: u16) -> TestBuilder {
    let builder = testing::builder(conn, name).with_slots(conn, slots);
    operator::set_spare_slots(conn, &testing::operator(), &name.parse().unwrap(), spare).unwrap();
    builder
}

fn claim(conn: &mut PgConnection, builder: TestBuilder, free: u32) -> Vec<TaskId> {
    builder.claim(conn, free).iter().map(|key| key.task).collect()
}

#[test]
fn background_tasks_leave_them_free_and_whoever_comes_is_given_them() {
    let (_db, mut conn) = database();
    let one = builder(&mut conn, "one", 3, 1);
    let rebuild = [(); 20].map(|()| background(&mut conn, 1));
    assert_eq!(claim(&mut conn, one, 3), rebuild[..2]);
    assert_eq!(claim(&mut conn, one, 1), []);
    let mine = normal(&mut conn, 1);
    // Whatever stands before it, and however much.
    execute(&mut conn, &format!("UPDATE farm.task SET rank = 1000000000 WHERE id = {mine}"));
    execute(&mut conn, &format!("UPDATE farm.ready SET rank = 1000000000 WHERE task_id = {mine}"));
    assert_eq!(claim(&mut conn, one, 1), [mine]);
    operator::set_spare_slots(&mut conn, &testing::operator(), &"one".parse().unwrap(), 0).unwrap();
    assert_eq!(claim(&mut conn, one, 1), [rebuild[2]]);
    assert_sound(&mut conn);
}

#[test]
fn a_builder_all_of_whose_slots_are_spare_takes_no_background_tasks() {
    let (_db, mut conn) = database();
    let one = builder(&mut conn, "one", 2, 2);
    for weight in [1, 2] {
        background(&mut conn, weight);
    }
    assert_eq!(claim(&mut conn, one, 2), []);
    assert_eq!(queue::saves_slots(&mut conn, one.id).unwrap(), None, "it will never take the heavy one");
    let mine = normal(&mut conn, 2);
    assert_eq!(claim(&mut conn, one, 2), [mine]);
    assert_sound(&mut conn);
}

#[test]
fn while_slots_are_kept_for_a_heavy_background_task_the_spare_ones_are_given_to_others() {
    let (_db, mut conn) = database();
    let one = builder(&mut conn, "one", 4, 1);
    let first = normal(&mut conn, 1);
    assert_eq!(claim(&mut conn, one, 4), [first]);
    let heavy = background(&mut conn, 3);
    assert_eq!(claim(&mut conn, one, 3), [], "it needs three and the spare one");
    assert_eq!(queue::saves_slots(&mut conn, one.id).unwrap(), Some(3));
    let mine = normal(&mut conn, 1);
    assert_eq!(claim(&mut conn, one, 1), [mine]);
    assert_eq!(claim(&mut conn, one, 4), [heavy]);
    assert_sound(&mut conn);
}

#[test]
fn a_background_task_for_which_there_is_never_room_beside_them_is_left_to_other_builders() {
    let (_db, mut conn) = database();
    let (one, other) = (builder(&mut conn, "one", 3, 1), builder(&mut conn, "other", 3, 0));
    let heavy = background(&mut conn, 3);
    let light = background(&mut conn, 1);
    let mine = normal(&mut conn, 1);
    for (task, rank) in [(heavy, 1), (light, 2), (mine, 3)] {
        execute(&mut conn, &format!("UPDATE farm.task SET rank = {rank} WHERE id = {task}"));
        execute(&mut conn, &format!("UPDATE farm.ready SET rank = {rank} WHERE task_id = {task}"));
    }
    assert_eq!(claim(&mut conn, one, 3), [light, mine]);
    assert_eq!(claim(&mut conn, other, 3), [heavy]);
    assert_sound(&mut conn);
}

#[test]
fn each_lane_is_looked_at_by_itself() {
    let (_db, mut conn) = database();
    let tasks = [background(&mut conn, 1), normal(&mut conn, 1), background(&mut conn, 1)];
    let [others, background] = Lane::of(&PLATFORM.parse().unwrap());
    let keys = queue::ready_keys(&mut conn, std::slice::from_ref(&background), 10).unwrap();
    assert!(keys.iter().all(|key| key.lane() == background), "{keys:?}");
    assert_eq!(keys.iter().map(|key| key.task).collect::<Vec<_>>(), [tasks[0], tasks[2]]);
    let keys = queue::ready_keys(&mut conn, &[others], 10).unwrap();
    assert_eq!(keys.iter().map(|key| key.task).collect::<Vec<_>>(), [tasks[1]]);
}
