//! What all daemons of the farm share: command line, configuration, logs, signals, readiness, HTTP, metrics.
//!
//! A daemon is a library with `pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()>`,
//! and a `main.rs` that is little more than
//!
//! ```no_run
//! # use farm_daemon::DaemonArgs;
//! # #[derive(serde::Deserialize)] struct Config {}
//! # impl farm_daemon::Config for Config { fn validate(&self) -> Vec<String> { Vec::new() } }
//! # async fn run(_: Config, shutdown: tokio_util::sync::CancellationToken) -> anyhow::Result<()> { Ok(()) }
//! #[derive(clap::Parser)]
//! #[command(version, about)]
//! struct Args {
//!     #[command(flatten)]
//!     daemon: DaemonArgs,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let args: Args = clap::Parser::parse();
//!     farm_daemon::start("farm-hub", &args.daemon, run)
//! }
//! ```
//!
//! `run` calls [`ready`] once it does its work, keeps its long-running parts in a [`Supervisor`], and returns when the
//! token is cancelled and everything under way is done. It must open nothing before: no thread and no connection may exist
//! where a daemon leaves its terminal (`--daemon`).

mod args;
mod background;
mod backoff;
mod config;
pub mod http;
mod kerberos;
mod log;
pub mod metrics;
mod notify;
mod reload;
mod secret;
mod shutdown;
mod start;
mod supervise;
mod threads;
mod tickets;

pub use args::DaemonArgs;
pub use backoff::Backoff;
pub use config::{Config, ConfigError, load};
pub use kerberos::KerberosConfig;
pub use log::{LogConfig, LogFormat, log_to_stderr};
pub use notify::{main_process, ready, status};
pub use start::start;
pub use supervise::Supervisor;
pub use tickets::{Login, Tickets};
/// The token by which a daemon is told to end.
pub use tokio_util::sync::CancellationToken;
