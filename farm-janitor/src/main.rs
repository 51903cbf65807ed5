//! The daemon `farm-janitor`; see the library.

use std::process::ExitCode;

use clap::Parser;
use farm_daemon::DaemonArgs;

/// Keeps the farm clean: takes back leases of silent builders, seals logs, removes what is kept no longer, sounds the alarm.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    farm_daemon::start("farm-janitor", &Args::parse().daemon, farm_janitor::run)
}
