//! The daemon `farm-publisher`; see the library.

use std::process::ExitCode;

use clap::Parser;
use farm_daemon::DaemonArgs;

/// Makes dnf repositories of what was built: one per bucket and platform.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    farm_daemon::start("farm-publisher", &Args::parse().daemon, farm_publisher::run)
}
