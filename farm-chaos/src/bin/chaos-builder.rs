//! The builder's daemon with a driver that builds nothing; see `farm_chaos::fake`.

use std::process::ExitCode;

use clap::Parser;
use farm_daemon::DaemonArgs;

/// A builder for the farm under fire. It builds nothing.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    farm_daemon::start("farm-builder", &Args::parse().daemon, farm_chaos::fake::run)
}
