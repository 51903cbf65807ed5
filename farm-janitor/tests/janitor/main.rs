//! The chores, each on a real database and a real store.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alarms;
mod bringing;
mod chores;
mod keeping;
mod mail;
mod post;
mod support;
mod turns;

#[expect(dead_code, reason = "these tests need less of it than those of the store")]
#[path = "../../../farm-store/tests/store/s3_server.rs"]
mod s3_server;
