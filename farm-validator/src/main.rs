//! The daemon `farm-validator`; see the library.

use std::process::ExitCode;

use clap::Parser;
use farm_daemon::DaemonArgs;

/// Decides on submitted jobs: tasks for every platform, or a rejection with every reason.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    farm_daemon::start("farm-validator", &Args::parse().daemon, farm_validator::run)
}
