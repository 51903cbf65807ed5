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

#[path = "../../../farm-store/tests/store/s3_server.rs"]
mod s3_server;
