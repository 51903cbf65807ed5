//! For tests only: the real things that tests need, made in a moment and gone with the test.
//!
//! - [`TestDb`]: a database of its own per test, on a private PostgreSQL per test process;
//! - [`Realm`]: a private Kerberos realm; [`in_environment`]: a test with an environment of its own;
//! - [`Process`]: a program of the workspace, running;
//! - [`S3Server`]: a real S3 server;
//! - [`Spec`]: small source packages; [`platform`]: what to build them on;
//! - [`eventually`]: waiting for what gives no sign;
//! - [`bench`]: what benches measure and print.
//!
//! What cannot be had makes a test panic and says how to get it: no test is skipped in silence. Nothing here outlives the
//! test process, even one that is killed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod bench;
mod cluster;
mod database;
mod environment;
mod eventually;
mod output;
mod platforms;
mod process;
mod programs;
mod realm;
mod s3;
mod srpm;

pub use cluster::Cluster;
pub use database::TestDb;
pub use environment::in_environment;
pub use eventually::{eventually, eventually_blocking};
pub use platforms::platform;
pub use process::Process;
pub use programs::program;
pub use realm::Realm;
pub use rustix::process::Signal;
pub use s3::{S3Running, S3Server};
pub use srpm::{Spec, srpm};

use std::{path::PathBuf, time::Duration};

/// How long a test waits for what is to come at once, on a machine that is busy with other tests.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Where cargo puts the programs of the profile that this test, or program for tests, was built with, as in `target/debug`.
pub(crate) fn profile_dir() -> PathBuf {
    // target/debug/deps/the_test-0123456789abcdef, or target/debug/program
    let exe = std::env::current_exe().unwrap();
    let dir = exe.parent().unwrap();
    if dir.ends_with("deps") { dir.parent().unwrap().to_owned() } else { dir.to_owned() }
}
