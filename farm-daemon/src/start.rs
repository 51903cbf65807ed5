//! From the command line to the running daemon, and to its exit code.

use std::{future::Future, process::ExitCode, time::Duration};

use anyhow::Context as _;
use tokio::runtime;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{Config, DaemonArgs, config, log, metrics, notify, shutdown};

/// The exit code for a command line or configuration that cannot be used.
const EXIT_USAGE: u8 = 2;

/// How long threads that are in the middle of a blocking call may take once the daemon has ended.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// The whole `main` of a daemon: reads the configuration, starts logs, signals and the runtime, runs the daemon.
///
/// Exit codes: 0 ended as asked, 1 failed, 2 the configuration is not right.
pub fn start<C, R, F>(name: &'static str, args: &DaemonArgs, run: R) -> ExitCode
where
    C: Config,
    R: FnOnce(C, CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let config: C = match config::load(&args.config_path(name)) {
        Ok(config) => config,
        Err(error) => return refuse(name, &error),
    };
    if args.check_config {
        println!("configuration is good");
        return ExitCode::SUCCESS;
    }
    if let Err(error) = log::init(args, &config.log()) {
        return refuse(name, &format!("{error:#}"));
    }
    match supervise(name, args, config, run) {
        Ok(()) => {
            info!("{name} ended");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!("{name} failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says why the daemon cannot start. The log does not exist yet.
fn refuse(name: &str, why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{name}: {why}");
    ExitCode::from(EXIT_USAGE)
}

fn supervise<C, R, F>(name: &str, args: &DaemonArgs, config: C, run: R) -> anyhow::Result<()>
where
    R: FnOnce(C, CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    // Before the first thread is where a daemon would leave its terminal.
    info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "{name} starts");
    let token = CancellationToken::new();
    shutdown::on_signal(token.clone(), args.with_parent)?;
    if args.with_parent {
        notify::expect_parent();
        shutdown::on_parent_death(token.clone())?;
    }
    let runtime =
        runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the threads of the runtime")?;
    metrics::install();
    let result = runtime.block_on(async {
        tokio::spawn(metrics::keep_up(token.clone()));
        run(config, token).await
    });
    runtime.shutdown_timeout(LAST_CALLS);
    result
}
