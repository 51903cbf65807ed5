//! From the command line to the running daemon, and to its exit code.

use std::{future::Future, process::ExitCode, time::Duration};

use anyhow::{Context as _, anyhow};
use tokio::runtime;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    Config, DaemonArgs,
    background::{Background, Side},
    config,
    log::Log,
    metrics, notify, shutdown,
    tickets::{self, Tickets},
};

/// The exit code for a command line or configuration that cannot be used.
const EXIT_USAGE: u8 = 2;

/// How long threads that are in the middle of a blocking call may take once the daemon has ended.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// The whole `main` of a daemon: reads the configuration, leaves the terminal if that is asked for, starts logs, signals
/// and the runtime, runs the daemon. To be called before anything starts a thread.
///
/// Exit codes: 0 ended as asked, 1 failed, 2 the command line or the configuration is not right. With `--daemon` they are
/// those of the start: 0 the daemon is ready, 1 it failed before it was.
pub fn start<C, R, F>(name: &'static str, args: &DaemonArgs, run: R) -> ExitCode
where
    C: Config,
    R: FnOnce(C, CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    if args.log_in_once {
        return tickets::log_in_once::<C>(name, args);
    }
    let Prepared { config, log, background } = match prepare::<C>(name, args) {
        Ok(prepared) => prepared,
        Err(error) => return say(name, &error, EXIT_USAGE),
    };
    if args.check_config {
        println!("configuration is good");
        return ExitCode::SUCCESS;
    }
    let pid_file = match background.map(|background| background.leave(name)).transpose() {
        Ok(Some(Side::Starter(code))) => return code,
        Ok(Some(Side::Daemon(pid_file))) => Some(pid_file),
        Ok(None) => None,
        Err(error) => return say(name, &error, 1),
    };
    let result = log.start().and_then(|()| {
        // Before the first thread, but not before the fork: the folder of the tickets goes with the process that made it.
        let tickets = config.kerberos().map(|kerberos| kerberos.apply(name)).transpose()?.flatten();
        supervise(name, args, config, tickets, run)
    });
    // Before anybody hears of the end, who may start the daemon again at once.
    drop(pid_file);
    match result {
        Ok(()) => {
            info!("{name} ended");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!("{name} failed: {error:#}");
            notify::failed(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What a daemon begins with.
struct Prepared<C> {
    config: C,
    log: Log,
    background: Option<Background>,
}

fn prepare<C: Config>(name: &str, args: &DaemonArgs) -> anyhow::Result<Prepared<C>> {
    // Its sentence says the cause itself.
    let config: C = config::load(&args.config_path(name)).map_err(|error| anyhow!("{error}"))?;
    let log = Log::new(args, &config.log())?;
    // Opens files, which a mere check must not.
    let background = if args.check_config { None } else { Background::new(args)? };
    Ok(Prepared { config, log, background })
}

/// Says why the daemon cannot start. The log does not exist yet.
fn say(name: &str, error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("{name}: {error:#}");
    ExitCode::from(code)
}

fn supervise<C, R, F>(name: &str, args: &DaemonArgs, config: C, tickets: Option<Tickets>, run: R) -> anyhow::Result<()>
where
    C: Config,
    R: FnOnce(C, CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
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
        match (&tickets, config.login()) {
            (Some(tickets), Some(login)) => {
                let daemon = run(config, token.clone());
                // Ends with the daemon and not before: it is there while there are connections to be made.
                tokio::select! {
                    result = daemon => result,
                    never = tickets.keep_new(login) => match never {},
                }
            }
            _ => run(config, token).await,
        }
    });
    runtime.shutdown_timeout(LAST_CALLS);
    result
}
