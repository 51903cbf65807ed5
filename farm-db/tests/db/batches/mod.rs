//! The verbs for many builders at once: each item comes to what its verb for one comes to, and none hurts another.

mod claims;
mod ends;
mod keys;
mod signs;

use diesel::PgConnection;
use farm_db::{
    queue::{self, Lane, Pick, ReadyKey},
    testing::{self, TestBuilder},
};
use farm_types::{BuilderId, BuilderState, LeaseKey, TaskId};

use crate::support::PLATFORM;

/// How often each race is run.
const ROUNDS: usize = 25;

fn look(conn: &mut PgConnection) -> Vec<ReadyKey> {
    queue::ready_keys(conn, &Lane::of(&PLATFORM.parse().unwrap()), 1000).unwrap()
}

fn pick(key: &ReadyKey, builder: TestBuilder) -> Pick {
    Pick { key: key.clone(), builder: builder.id, instance: builder.instance, free: 1 }
}

/// Who was given which task.
fn given(conn: &mut PgConnection, picks: &[Pick]) -> Vec<(BuilderId, TaskId)> {
    let claimed = queue::claim_keys(conn, picks, 60).unwrap();
    claimed.into_iter().map(|(builder, task)| (builder, task.key.task)).collect()
}

/// So many leases of a builder.
fn leases(conn: &mut PgConnection, builder: TestBuilder, number: u32) -> Vec<LeaseKey> {
    for _ in 0..number {
        testing::accepted(conn, &[PLATFORM]);
    }
    let keys = builder.claim(conn, number);
    assert_eq!(keys.len(), number as usize);
    keys
}

fn operator_disables(conn: &mut PgConnection, builder: &str) {
    let name = builder.parse().unwrap();
    farm_db::operator::set_builder_state(conn, &testing::operator(), &name, BuilderState::Disabled, None).unwrap();
}
