//! The loops around the chores.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use farm_daemon::{Backoff, CancellationToken, Supervisor, http, ready};
use farm_db::Pool;
use farm_store::Store;
use futures::future::BoxFuture;
use tracing::{info, warn};

use crate::{
    Config,
    chores::{Report, Tools, reap, seal_logs, tokens, uploads},
};

/// How often stale uploads are looked for.
const UPLOADS_PERIOD: Duration = Duration::from_secs(600);
/// How often expired tokens are looked for.
const TOKENS_PERIOD: Duration = Duration::from_secs(600);

/// Does the chores until told to end.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    farm_db::introduce(&config.database, "farm_janitor").await?;
    let pool = Pool::new(&config.database, 3, config.connection_max_age_seconds)?;
    pool.probe().await.context("the janitor cannot use its database")?;
    let store = Store::open(&config.store, &config.spool)?;
    let tools = Tools { pool: pool.clone(), store, config: config.clone() };

    let mut parts = Supervisor::new(shutdown.clone());
    let every = Duration::from_secs;
    let reap = reap_once_settled(every(config.settle_seconds), shutdown.clone());
    parts.spawn("reaping leases", repeat("reap", every(config.reap_seconds), &tools, reap, &shutdown));
    parts
        .spawn("sealing logs", repeat("seal_logs", every(config.seal_seconds), &tools, seal_logs::run_once, &shutdown));
    parts.spawn("forgetting uploads", repeat("uploads", UPLOADS_PERIOD, &tools, uploads::run_once, &shutdown));
    parts.spawn("forgetting tokens", repeat("tokens", TOKENS_PERIOD, &tools, tokens::run_once, &shutdown));
    let up = move || {
        let pool = pool.clone();
        async move { pool.probe().await.map_err(|error| error.to_string()) }
    };
    parts.spawn("serving health and metrics", http::serve_health(config.metrics, up, shutdown));
    ready(None);
    parts.wait().await
}

/// Reaps, but not at once after a time in which the database may have been away: nobody could renew then, so all leases of the
/// farm would have run out and every build would be lost.
fn reap_once_settled(
    settle: Duration,
    shutdown: CancellationToken,
) -> impl Fn(Tools) -> BoxFuture<'static, anyhow::Result<Report>> + Send + 'static {
    let settled = Arc::new(AtomicBool::new(false));
    move |tools| {
        let (settled, shutdown) = (Arc::clone(&settled), shutdown.clone());
        Box::pin(async move {
            if !settled.load(Ordering::Relaxed) {
                tools.pool.probe().await?;
                if shutdown.run_until_cancelled(tokio::time::sleep(settle)).await.is_none() {
                    return Ok(Report::default());
                }
            }
            let report = reap::run_once(tools).await;
            settled.store(report.is_ok(), Ordering::Relaxed);
            report
        })
    }
}

/// Runs a chore again and again. A fault (the database is away, the store is full) is logged and tried again later.
fn repeat<R, F>(
    name: &'static str,
    period: Duration,
    tools: &Tools,
    run_once: R,
    shutdown: &CancellationToken,
) -> impl Future<Output = anyhow::Result<()>> + Send + 'static
where
    R: Fn(Tools) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<Report>> + Send,
{
    let (tools, shutdown) = (tools.clone(), shutdown.clone());
    async move {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        while !shutdown.is_cancelled() {
            match run_once(tools.clone()).await {
                Ok(report) => {
                    backoff.reset();
                    metrics::counter!("farm_chore_done_total", "chore" => name).increment(report.done);
                    if report.done > 0 {
                        info!(chore = name, done = report.done, "chore {name}: dealt with {}", report.done);
                    }
                    if report.more {
                        continue;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(period) => {}
                        () = shutdown.cancelled() => {}
                    }
                }
                Err(error) => {
                    metrics::counter!("farm_chore_faults_total", "chore" => name).increment(1);
                    warn!(chore = name, "chore {name} could not be done: {error:#}; trying again");
                    backoff.wait(&shutdown).await;
                }
            }
        }
        Ok(())
    }
}
