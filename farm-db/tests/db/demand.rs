//! What waits, as whoever starts and stops builders sees it.

use farm_db::{demand::demand, operator, testing};
use farm_types::BuilderState;

use crate::support::{PLATFORM, database, execute};

#[test]
fn what_waits_for_a_platform_and_the_slots_there_are_for_it_are_told() {
    let (_db, mut conn) = database();
    let idle = demand(&mut conn).unwrap();
    let [platform] = &idle.platforms[..] else { panic!("there is one platform") };
    assert_eq!((platform.name.as_str(), platform.ready(), platform.oldest_seconds), (PLATFORM, 0, None));
    assert_eq!((idle.expected_wait(platform), idle.free(&platform.name)), (0.0, 0));

    // Nothing is known of the package: a minute each is expected.
    for _ in 0..4 {
        testing::accepted(&mut conn, &[PLATFORM]);
    }
    execute(
        &mut conn,
        "UPDATE farm.ready SET not_before = now() - interval '1 hour' WHERE task_id = (SELECT max(task_id) FROM farm.ready)",
    );
    let nobody = demand(&mut conn).unwrap();
    assert_eq!(nobody.platforms[0].ready(), 4);
    assert_eq!(nobody.platforms[0].oldest_seconds, Some(3600));
    assert_eq!(nobody.expected_wait(&nobody.platforms[0]), 240.0);

    let builder = testing::builder(&mut conn, "one");
    builder.claim_one(&mut conn);
    execute(&mut conn, "UPDATE farm.attempt SET started_at = now() - interval '20 seconds'");
    let busy = demand(&mut conn).unwrap();
    let platform = &busy.platforms[0];
    assert_eq!((platform.normal, platform.urgent, platform.used, busy.free(&platform.name)), (3, 0, 1, 3));
    // Three tasks and the rest of one, over four slots.
    assert!((54.9..=55.0).contains(&busy.expected_wait(platform)), "{}", busy.expected_wait(platform));

    let draining = BuilderState::Draining;
    operator::set_builder_state(&mut conn, &testing::operator(), &"one".parse().unwrap(), draining, None).unwrap();
    let drained = demand(&mut conn).unwrap();
    assert_eq!(drained.free(&drained.platforms[0].name), 0, "who takes nothing more has no free slots");
}
