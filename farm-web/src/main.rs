//! The daemon farm-web.

use std::process::ExitCode;

use clap::Parser;
use farm_daemon::DaemonArgs;

/// Status pages, the API for people and scripts, uploads, live logs
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    farm_daemon::start("farm-web", &Args::parse().daemon, farm_web::run)
}
