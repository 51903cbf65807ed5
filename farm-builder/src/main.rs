//! The daemon `farm-builder`; see the library.

use std::process::ExitCode;

use clap::Parser;
use farm_daemon::DaemonArgs;

/// Builds packages in chroots: claims tasks from a hub, and brings it what came of them.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    if let Some(code) = farm_builder::sandbox::main() {
        return code;
    }
    farm_daemon::start("farm-builder", &Args::parse().daemon, farm_builder::run)
}
