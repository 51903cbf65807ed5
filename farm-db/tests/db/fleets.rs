//! Builders that register themselves, and go.

use diesel::PgConnection;
use farm_db::{
    DbError, Viewer, chores, fleets,
    operator::{self, NewBuilder},
    queue, read,
    testing::{self, TestBuilder},
};
use farm_types::{BuilderState, Outcome};

use crate::support::{PLATFORM, assert_sound, database, execute, text};

const W1: &str = "builder/w1.fleet.x@X";

fn allow(conn: &mut PgConnection, fleet: &fleets::Fleet) {
    fleets::allow_builders(conn, &testing::operator(), fleet).unwrap();
}

/// A builder of a fleet that came up.
fn comes(conn: &mut PgConnection, principal: &str) -> TestBuilder {
    testing::builder_of_a_fleet(conn, principal).unwrap().restarted(conn)
}

fn leaves(conn: &mut PgConnection, builder: TestBuilder) -> bool {
    queue::deregister(conn, builder.id, builder.instance).unwrap()
}

fn refusal(conn: &mut PgConnection, principal: &str) -> String {
    testing::builder_of_a_fleet(conn, principal).unwrap_err().to_string()
}

/// The builders that are there.
fn there(conn: &mut PgConnection) -> Vec<String> {
    let builders = read::builders(conn, Viewer::ANYBODY, None).unwrap();
    builders.into_iter().map(|builder| builder.name.to_string()).collect()
}

fn set(conn: &mut PgConnection, name: &str, state: BuilderState) {
    operator::set_builder_state(conn, &testing::operator(), &name.parse().unwrap(), state, None).unwrap();
}

#[test]
fn a_builder_that_nobody_registered_builds_leaves_and_is_in_no_list_while_its_history_stays() {
    let (_db, mut conn) = database();
    testing::platform(&mut conn, PLATFORM);
    allow(&mut conn, &testing::fleet("night", "builder/*.fleet.x@X"));
    let builder = comes(&mut conn, W1);
    assert_eq!(there(&mut conn), ["w1.fleet.x"]);
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = builder.claim_one(&mut conn);
    let refused = queue::deregister(&mut conn, builder.id, builder.instance).unwrap_err();
    assert!(refused.to_string().contains("holds tasks still"), "{refused}");
    builder.finish(&mut conn, &key, Outcome::Succeeded).unwrap();
    assert!(leaves(&mut conn, builder));
    assert!(there(&mut conn).is_empty());
    let name = "w1.fleet.x".parse().unwrap();
    let page = read::builders(&mut conn, Viewer::ANYBODY, Some(&name)).unwrap();
    assert!(page[0].left.is_some() && !page[0].alive);
    assert_eq!(
        text(
            &mut conn,
            "SELECT count(*)::text AS text FROM farm.attempt a JOIN farm.builder b ON b.id = a.builder_id WHERE b.name = 'w1.fleet.x'"
        ),
        "1"
    );
    assert_sound(&mut conn);
}

#[test]
fn what_a_builder_may_serve_and_how_many_slots_it_has_is_what_its_fleet_says() {
    let (_db, mut conn) = database();
    let other = testing::platform(&mut conn, "other-x86_64");
    testing::platform(&mut conn, PLATFORM);
    let night =
        fleets::Fleet { platforms: Some(vec![other.clone()]), ..testing::fleet("night", "builder/*.fleet.x@X") };
    allow(&mut conn, &night);
    let builder = comes(&mut conn, W1).with_slots(&mut conn, 64);
    assert_eq!(queue::slots_of(&mut conn, builder.id).unwrap(), 2);
    assert_eq!(queue::presence(&mut conn, &[(builder.id, builder.instance)]).unwrap()[0].platforms, [other]);
    testing::accepted(&mut conn, &[PLATFORM]);
    assert!(builder.claim(&mut conn, 2).is_empty());
    allow(&mut conn, &testing::fleet("night", "builder/*.fleet.x@X"));
    assert_eq!(builder.claim(&mut conn, 2).len(), 1);
}

#[test]
fn a_star_stands_for_a_part_of_one_label_and_everything_else_for_itself() {
    let (_db, mut conn) = database();
    allow(&mut conn, &fleets::Fleet { builders: 100, ..testing::fleet("night", "builder/w-*.fleet.x@EX.ORG") });
    for good in ["builder/w-1.fleet.x@EX.ORG", "builder/w-a-2.fleet.x@EX.ORG"] {
        comes(&mut conn, good);
    }
    for bad in [
        "builder/w-.fleet.x@EX.ORG",
        "builder/w-1.sub.fleet.x@EX.ORG",
        "builder/w-1xfleet.x@EX.ORG",
        "builder/w-1.fleet.x@EX.ORG.EVIL",
        "builder/w-1.fleet.x@EXXORG",
        "builder/w-1.fleet.x/admin@EX.ORG",
        "builder/W-1.fleet.x@EX.ORG",
        "xbuilder/w-1.fleet.x@EX.ORG",
        "w-1.fleet.x@EX.ORG",
        "builder/w-1.fleet.x@EX.ORG\n",
    ] {
        let said = refusal(&mut conn, bad);
        assert!(said.contains(&format!("--principal {bad}")) && said.contains("builder allow FLEET"), "{said}");
    }
    for bad in
        ["*/w@X", "builder/w@*", "builder/w", "builder/w*/x@X", "builder/(w|v)@X", "builder/.w@X", "builder/w@X\n"]
    {
        let fleet = testing::fleet("day", bad);
        let refused = fleets::allow_builders(&mut conn, &testing::operator(), &fleet).unwrap_err();
        assert!(matches!(&refused, DbError::Conflict(why) if why.contains("is no pattern")), "{bad}: {refused}");
    }
}

#[test]
fn no_more_builders_are_there_at_a_time_than_the_fleet_may_have() {
    let (_db, mut conn) = database();
    allow(&mut conn, &fleets::Fleet { builders: 1, ..testing::fleet("night", "builder/*.fleet.x@X") });
    let first = comes(&mut conn, W1);
    comes(&mut conn, W1);
    let said = refusal(&mut conn, "builder/w2.fleet.x@X");
    assert!(said.contains("the fleet night has its 1 builder already"), "{said}");
    let first = first.restarted(&mut conn);
    assert!(leaves(&mut conn, first));
    comes(&mut conn, "builder/w2.fleet.x@X");
    assert_eq!(there(&mut conn), ["w2.fleet.x"]);
}

#[test]
fn a_builder_that_was_disabled_does_not_come_back_until_it_is_enabled() {
    let (_db, mut conn) = database();
    allow(&mut conn, &testing::fleet("night", "builder/*.fleet.x@X"));
    let builder = comes(&mut conn, W1);
    set(&mut conn, "w1.fleet.x", BuilderState::Disabled);
    assert!(leaves(&mut conn, builder));
    let said = refusal(&mut conn, W1);
    assert!(said.contains("builder w1.fleet.x was disabled; `farm-admin builder enable w1.fleet.x`"), "{said}");
    set(&mut conn, "w1.fleet.x", BuilderState::Enabled);
    let builder = comes(&mut conn, W1);
    // What it was to finish it has finished.
    set(&mut conn, "w1.fleet.x", BuilderState::Draining);
    assert!(leaves(&mut conn, builder));
    comes(&mut conn, W1);
    assert_eq!(text(&mut conn, "SELECT state::text AS text FROM farm.builder"), "enabled");
}

#[test]
fn of_a_fleet_that_is_taken_off_the_list_nobody_comes_and_who_is_there_is_given_no_more() {
    let (_db, mut conn) = database();
    let night = testing::fleet("night", "builder/*.fleet.x@X");
    allow(&mut conn, &night);
    let builder = comes(&mut conn, W1);
    assert_eq!(fleets::disallow_builders(&mut conn, &testing::operator(), &night.name).unwrap(), 1);
    assert_eq!(text(&mut conn, "SELECT state::text AS text FROM farm.builder"), "draining");
    testing::builder_of_a_fleet(&mut conn, W1)
        .expect("it finishes what it has, and that may take longer than a ticket");
    assert!(leaves(&mut conn, builder));
    assert!(refusal(&mut conn, W1).contains("it is of no fleet"));
    assert!(fleets::fleets(&mut conn).unwrap().is_empty());
}

#[test]
fn a_builder_that_an_operator_registered_stays_registered_whatever_it_says() {
    let (_db, mut conn) = database();
    allow(&mut conn, &testing::fleet("night", "builder/*@X"));
    let one = testing::builder(&mut conn, "one");
    assert!(!leaves(&mut conn, one));
    let said = refusal(&mut conn, "builder/one@X");
    assert!(said.contains("there is another builder one, which does not come as builder/one@X"), "{said}");
    // One that came by itself and left is the operator's from then on.
    let two = comes(&mut conn, "builder/two@X");
    assert!(leaves(&mut conn, two));
    let new = NewBuilder { token: None, principal: Some("builder/two@X"), platforms: None };
    operator::put_builder(&mut conn, &testing::operator(), &"two".parse().unwrap(), &new).unwrap();
    assert_eq!(there(&mut conn), ["one", "two"]);
    let two = two.restarted(&mut conn);
    assert!(!leaves(&mut conn, two));
}

#[test]
fn what_is_silent_for_long_is_taken_off_the_list_unless_it_holds_something_or_an_operator_registered_it() {
    let (_db, mut conn) = database();
    testing::platform(&mut conn, PLATFORM);
    allow(&mut conn, &testing::fleet("night", "builder/*@X"));
    testing::builder(&mut conn, "ours");
    let [silent, holds] = ["builder/silent@X", "builder/holds@X"].map(|principal| comes(&mut conn, principal));
    comes(&mut conn, "builder/talks@X");
    testing::accepted(&mut conn, &[PLATFORM]);
    let key = holds.claim_one(&mut conn);
    execute(&mut conn, "UPDATE farm.builder SET last_seen_at = now() - interval '2 hours' WHERE name <> 'talks'");
    assert_eq!(chores::deregister_silent(&mut conn, 3600).unwrap(), ["silent"]);
    assert_eq!(there(&mut conn), ["holds", "ours", "talks"]);
    // It was not gone after all: it has to log in anew, and to say hello.
    let refused = queue::claim(&mut conn, silent.id, silent.instance, 1, 60).unwrap_err();
    assert!(refused.to_string().contains("this life of the builder is over"), "{refused}");
    comes(&mut conn, "builder/silent@X");
    holds.finish(&mut conn, &key, Outcome::Succeeded).unwrap();
    execute(&mut conn, "UPDATE farm.builder SET last_seen_at = now() - interval '2 hours' WHERE name = 'holds'");
    execute(
        &mut conn,
        "INSERT INTO farm.hub_pulse (at, since, lease) VALUES (now() - interval '2 hours', now() - interval '1 day', '60 s')",
    );
    assert!(chores::deregister_silent(&mut conn, 3600).unwrap().is_empty(), "there was no hub to talk to");
    assert_sound(&mut conn);
}

#[test]
fn the_end_of_a_life_that_handed_over_is_not_the_end_of_the_builder() {
    let (_db, mut conn) = database();
    allow(&mut conn, &testing::fleet("night", "builder/*@X"));
    let first = comes(&mut conn, "builder/one@X");
    queue::leave(&mut conn, first.id, first.instance).unwrap();
    let _second = first.succeeded(&mut conn);
    assert!(matches!(queue::deregister(&mut conn, first.id, first.instance), Err(DbError::Conflict(_))));
    assert_eq!(there(&mut conn), ["one"]);
}
