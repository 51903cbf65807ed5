//! The smallest daemon there can be. The tests run it as a real process.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use axum::{Extension, Router, routing::get};
use clap::Parser as _;
use farm_daemon::{
    CancellationToken, DaemonArgs, KerberosConfig, LogConfig, Supervisor,
    http::{ClientAddress, HttpConfig, Listener, health_routes, serve},
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
    #[serde(default)]
    kerberos: KerberosConfig,
    http: HttpConfig,
    /// Whether to stay although the end was asked for, as a builder stays whose build takes long.
    #[serde(default)]
    drain_for_ever: bool,
    /// Why not to become ready, as a daemon whose database is away.
    #[serde(default)]
    failure: Option<String>,
    /// A named pipe: a byte from it makes the daemon ready, its end makes it end.
    #[serde(default)]
    gate: Option<PathBuf>,
}

impl farm_daemon::Config for Config {
    fn validate(&self) -> Vec<String> {
        self.http.problems()
    }

    fn log(&self) -> LogConfig {
        self.log.clone()
    }

    fn kerberos(&self) -> Option<&KerberosConfig> {
        Some(&self.kerberos)
    }
}

async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    if let Some(failure) = config.failure {
        bail!(failure);
    }
    let listener = Listener::bind(&config.http).await?;
    let address = listener.address().clone();
    let routes = Router::new()
        .route("/caller", get(|Extension(ClientAddress(address)): Extension<ClientAddress>| async { address }))
        .route("/kerberos", get(kerberos))
        .merge(health_routes(|| async { Ok(()) }));
    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("the HTTP server", serve(listener, routes, shutdown.clone()));
    if let Some(gate) = config.gate {
        tokio::task::spawn_blocking(move || pass(&gate, &shutdown)).await??;
    }
    farm_daemon::ready(Some(&address));
    parts.wait().await?;
    if config.drain_for_ever {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// Waits for the byte. A thread waits for the end.
fn pass(gate: &Path, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut pipe = File::open(gate)?;
    pipe.read_exact(&mut [0])?;
    let shutdown = shutdown.clone();
    std::thread::spawn(move || {
        let _ = pipe.read(&mut [0]);
        shutdown.cancel();
    });
    Ok(())
}

/// What the environment says of Kerberos.
async fn kerberos() -> String {
    let mut variables: Vec<_> = std::env::vars()
        .filter(|(name, _)| name.starts_with("KRB5"))
        .map(|(name, value)| name + "=" + &value)
        .collect();
    variables.sort();
    variables.join("\n")
}

fn main() -> ExitCode {
    farm_daemon::start("smallest", &Args::parse().daemon, run)
}
