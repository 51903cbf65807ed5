//! The smallest daemon there can be. The tests run it as a real process.

use std::process::ExitCode;

use clap::Parser as _;
use farm_daemon::{
    CancellationToken, DaemonArgs, LogConfig, Supervisor,
    http::{HttpConfig, Listener, health_routes, serve},
};

#[derive(clap::Parser)]
struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    log: LogConfig,
    http: HttpConfig,
    /// Whether to stay although the end was asked for, as a builder stays whose build takes long.
    #[serde(default)]
    drain_for_ever: bool,
}

impl farm_daemon::Config for Config {
    fn validate(&self) -> Vec<String> {
        self.http.problems()
    }

    fn log(&self) -> LogConfig {
        self.log.clone()
    }
}

async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = Listener::bind(&config.http).await?;
    let address = listener.address().clone();
    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("the HTTP server", serve(listener, health_routes(|| async { Ok(()) }), shutdown));
    farm_daemon::ready(Some(&address));
    parts.wait().await?;
    if config.drain_for_ever {
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn main() -> ExitCode {
    farm_daemon::start("smallest", &Args::parse().daemon, run)
}
