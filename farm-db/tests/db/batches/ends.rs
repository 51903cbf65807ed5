//! Ends of attempts.

use std::{sync::Barrier, thread};

use farm_api::hub::{Finish, NewArtifact};
use farm_db::{
    DbError, queue,
    testing::{self, ended},
};
use farm_types::{ArtifactKind, Outcome};

use super::{ROUNDS, leases};
use crate::support::{PLATFORM, assert_sound, database, state, text};

fn with_file(name: &str, digest: farm_types::Digest) -> Finish {
    let file = NewArtifact { kind: ArtifactKind::Rpm, name: name.parse().unwrap(), digest, size: 1 };
    Finish { artifacts: vec![file], ..ended(Outcome::Succeeded) }
}

#[test]
fn ends_that_are_refused_hurt_no_other_of_their_batch() {
    let (_db, mut conn) = database();
    let (one, two) = (testing::builder(&mut conn, "one"), testing::builder(&mut conn, "two"));
    let keys = leases(&mut conn, one, 6);
    let digest = testing::digest();
    queue::deliver(&mut conn, one.id, &keys[0], &digest, 1).unwrap();
    let twice = Finish {
        artifacts: [with_file("a.rpm", digest).artifacts, with_file("a.rpm", digest).artifacts].concat(),
        ..ended(Outcome::Succeeded)
    };
    queue::deliver(&mut conn, one.id, &keys[4], &digest, 1).unwrap();
    let ends = [
        (one.id, keys[0], with_file("a.rpm", digest)),
        (one.id, keys[1], with_file("a.rpm", testing::digest())),
        (two.id, keys[2], ended(Outcome::Succeeded)),
        (one.id, keys[3], ended(Outcome::Failed)),
        // Only the table refuses this, and with it the statement.
        (one.id, keys[4], twice),
        (one.id, keys[5], ended(Outcome::Cancelled)),
    ];
    let ended = queue::finish_all(&mut conn, &ends).unwrap();
    assert!(ended[0].is_ok() && ended[3].is_ok(), "{ended:?}");
    assert!(matches!(ended[1], Err(DbError::NotFound(_))), "{ended:?}");
    assert!(matches!(ended[2], Err(DbError::LeaseLost(_))), "{ended:?}");
    assert!(matches!(ended[4], Err(DbError::Sql(_))), "{ended:?}");
    assert!(matches!(ended[5], Err(DbError::Conflict(_))), "{ended:?}");
    let states = "SELECT string_agg(state::text, ' ' ORDER BY id) AS text FROM farm.task";
    assert_eq!(text(&mut conn, states), "succeeded leased leased failed leased leased");
    // Each has a source of one byte.
    let bytes = "SELECT string_agg(bytes::text, ' ' ORDER BY id) AS text FROM farm.job";
    assert_eq!(text(&mut conn, bytes), "2 1 1 1 1 1");
    assert_sound(&mut conn);
}

#[test]
fn an_end_that_comes_twice_in_a_batch_or_once_more_later_is_no_error() {
    let (_db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    let key = leases(&mut conn, one, 1)[0];
    let end = (one.id, key, ended(Outcome::Succeeded));
    let other = (one.id, key, ended(Outcome::Failed));
    let ended = queue::finish_all(&mut conn, &[end.clone(), end.clone()]).unwrap();
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    let ended = queue::finish_all(&mut conn, &[end, other]).unwrap();
    assert!(ended[0].is_ok(), "{ended:?}");
    assert!(matches!(ended[1], Err(DbError::LeaseLost(_))), "{ended:?}");
    let lines = "SELECT count(*)::text AS text FROM farm.audit WHERE action = 'finish'";
    assert_eq!(text(&mut conn, lines), "1");
    assert_sound(&mut conn);
}

#[test]
fn a_batch_ends_tasks_in_every_way_and_lets_the_jobs_go_that_come_after() {
    let (_db, mut conn) = database();
    let one = testing::builder(&mut conn, "one");
    let jobs = [(); 3].map(|()| testing::accepted(&mut conn, &[PLATFORM]));
    let keys = one.claim(&mut conn, 3);
    let next = jobs.map(|job| {
        let next = testing::submitted(&mut conn, Some(job));
        testing::accept(&mut conn, next, &[PLATFORM]);
        next
    });
    let outcomes = [Outcome::Succeeded, Outcome::Failed, Outcome::FarmFault];
    let ends: Vec<_> = keys.iter().zip(outcomes).map(|(key, outcome)| (one.id, *key, ended(outcome))).collect();
    assert!(queue::finish_all(&mut conn, &ends).unwrap().iter().all(Result::is_ok));
    assert_eq!(jobs.map(|job| state(&mut conn, job)), ["succeeded", "failed", "pending"]);
    assert_eq!(next.map(|job| state(&mut conn, job)), ["pending", "cancelled", "waiting"]);
    assert_sound(&mut conn);
}

#[test]
fn batches_that_end_tasks_of_the_same_jobs_and_packages_never_wait_in_a_circle() {
    let (db, mut conn) = database();
    testing::platform(&mut conn, "b-x86_64");
    let one = testing::builder(&mut conn, "one");
    for _ in 0..ROUNDS {
        for _ in 0..8 {
            testing::accepted(&mut conn, &[PLATFORM, "b-x86_64"]);
        }
        let keys = one.claim(&mut conn, 16);
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for half in 0..2 {
                let ends = keys.iter().skip(half).step_by(2).map(|key| (one.id, *key, ended(Outcome::Succeeded)));
                // In opposite orders.
                let mut ends: Vec<_> = ends.collect();
                if half == 0 {
                    ends.reverse();
                }
                let (start, mut conn) = (&start, db.connect());
                scope.spawn(move || {
                    start.wait();
                    assert!(queue::finish_all(&mut conn, &ends).unwrap().iter().all(Result::is_ok));
                });
            }
        });
        assert_sound(&mut conn);
    }
    let circles = "SELECT deadlocks::text AS text FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(text(&mut conn, circles), "0");
}
