//! The daemons, as processes of this program.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use farm_daemon::DaemonArgs;

/// Which daemon to be.
#[derive(Args)]
pub(crate) struct RunArgs {
    /// Which daemon
    daemon: Daemon,
    #[command(flatten)]
    args: DaemonArgs,
}

/// The daemons of a farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Daemon {
    /// farm-web
    Web,
    /// farm-hub
    Hub,
    /// farm-validator
    Validator,
    /// farm-janitor
    Janitor,
    /// farm-publisher
    Publisher,
    /// farm-builder
    Builder,
}

impl Daemon {
    /// The name on the command line, in `/etc/farm` and in logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Hub => "hub",
            Self::Validator => "validator",
            Self::Janitor => "janitor",
            Self::Publisher => "publisher",
            Self::Builder => "builder",
        }
    }
}

/// Runs one daemon until it is told to end.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    match args.daemon {
        Daemon::Web => farm_daemon::start("farm-web", &args.args, farm_web::run),
        Daemon::Hub => farm_daemon::start("farm-hub", &args.args, farm_hub::run),
        Daemon::Validator => farm_daemon::start("farm-validator", &args.args, farm_validator::run),
        Daemon::Janitor => farm_daemon::start("farm-janitor", &args.args, farm_janitor::run),
        Daemon::Publisher => farm_daemon::start("farm-publisher", &args.args, farm_publisher::run),
        Daemon::Builder => farm_daemon::start("farm-builder", &args.args, farm_builder::run),
    }
}
