//! The daemon farm-hub.

use std::process::ExitCode;

use clap::Parser as _;
use farm_daemon::DaemonArgs;

/// The hub of the farm: builders call it for tasks, and bring logs and packages
#[derive(clap::Parser)]
#[command(name = "farm-hub", version)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    farm_daemon::start("farm-hub", &Args::parse().daemon, farm_hub::run)
}
