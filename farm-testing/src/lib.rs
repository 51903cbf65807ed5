//! For tests only: the real things that tests need, made in a moment and gone with the test.
//!
//! - [`TestDb`]: a database of its own per test, on a private PostgreSQL per test process;
//! - [`Program`]: a program of the workspace as a real process;
//! - [`srpm`]: small source packages from a spec;
//! - [`eventually`]: waiting for what gives no sign.
//!
//! What cannot be had makes a test panic and says how to get it: no test is skipped in silence. Nothing here outlives the
//! test process, even one that is killed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod database;

pub use cluster::Cluster;
pub use database::TestDb;
