//! The loop around the rules.

use std::{sync::Arc, time::Duration};

use farm_daemon::{Backoff, CancellationToken, Supervisor, http, ready};
use farm_db::{
    Channel, Heard, Introduction, Pool,
    intake::{self, Decided, Decision, UndecidedJob},
};
use farm_rpm::Limits;
use farm_store::Store;
use tokio::{runtime::Handle, sync::Notify};
use tracing::{info, warn};

use crate::{Config, decide::decide, source};

struct Validator {
    pool: Pool,
    store: Store,
    limits: Limits,
    rescan: Duration,
    /// Something may have been submitted.
    submitted: Notify,
    shutdown: CancellationToken,
}

/// Decides on submitted jobs until told to end; a job under way is decided first.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let introduction = farm_db::introduce(&config.database, "farm_validator").await?;
    let validator = Arc::new(Validator {
        pool: Pool::new(&config.database, config.workers + 1, config.connection_max_age_seconds)?,
        store: Store::open(&config.store, &config.spool)?,
        limits: config.limits(),
        rescan: Duration::from_secs(config.rescan_seconds),
        submitted: Notify::new(),
        shutdown: shutdown.clone(),
    });
    let asked = Arc::clone(&validator);
    let up = move || {
        let asked = Arc::clone(&asked);
        async move { asked.readiness().await }
    };
    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("serving health and metrics", http::serve_health(config.metrics.clone(), up, shutdown));
    parts.spawn("the validator", validator.begin(introduction, config));
    parts.wait().await
}

impl Validator {
    /// Works, once the database is there.
    async fn begin(self: Arc<Self>, introduction: Introduction, config: Config) -> anyhow::Result<()> {
        let Some(introduced) = self.shutdown.run_until_cancelled(introduction.complete()).await else { return Ok(()) };
        introduced?;
        let mut parts = Supervisor::new(self.shutdown.clone());
        parts.spawn(
            "listening for submitted jobs",
            Arc::clone(&self).listen(config.database, config.connection_max_age_seconds),
        );
        for _ in 0..config.workers {
            parts.spawn("deciding on jobs", Arc::clone(&self).work());
        }
        ready(None);
        parts.wait().await
    }

    /// Whether jobs could be decided on now. A store that is away postpones them.
    async fn readiness(&self) -> Result<(), String> {
        self.pool.probe().await.map_err(|error| error.to_string())?;
        self.store.check().await.map_err(|error| error.to_string())
    }

    /// Wakes the workers: after each submission, and after each time the connection was away.
    async fn listen(self: Arc<Self>, conninfo: String, max_age: u64) -> anyhow::Result<()> {
        let rescan = self.rescan.as_secs();
        let listening = farm_db::listen(&conninfo, &[Channel::Submitted], max_age, |heard| match heard {
            Heard::Connected | Heard::Told(_) => {
                self.submitted.notify_waiters();
                self.submitted.notify_one();
            }
            Heard::Lost(error) => {
                warn!("not listening for submitted jobs: {error}; looking every {rescan} s meanwhile")
            }
        });
        self.shutdown.run_until_cancelled(listening).await;
        Ok(())
    }

    async fn work(self: Arc<Self>) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
        while !self.shutdown.is_cancelled() {
            match self.decide_next().await {
                Ok(Decided::Done(job)) => {
                    backoff.reset();
                    metrics::counter!("farm_jobs_decided_total").increment(1);
                    info!(job.id = %job, "decided on job {job}");
                }
                Ok(Decided::Postponed(job)) => {
                    metrics::counter!("farm_jobs_postponed_total").increment(1);
                    info!(job.id = %job, "job {job} is tried again later");
                }
                Ok(Decided::Nothing) => {
                    backoff.reset();
                    tokio::select! {
                        () = self.submitted.notified() => {}
                        () = tokio::time::sleep(self.rescan) => {}
                        () = self.shutdown.cancelled() => {}
                    }
                }
                Err(error) => {
                    warn!("cannot decide on jobs: {error}; trying again");
                    backoff.wait(&self.shutdown).await;
                }
            }
        }
        Ok(())
    }

    async fn decide_next(self: &Arc<Self>) -> farm_db::Result<Decided> {
        let (this, runtime) = (self.clone(), Handle::current());
        self.pool
            .run(move |conn| {
                intake::decide_next(conn, |conn, job| {
                    let platforms = match intake::platforms(conn, job.id) {
                        Ok(platforms) => platforms,
                        Err(error) => {
                            warn!(job.id = %job.id, "cannot read the platforms: {error}");
                            return None;
                        }
                    };
                    let reports = this.read_sources(&runtime, job)?;
                    let decision = decide(job, reports, &platforms);
                    if let Decision::Reject(reasons) = &decision {
                        info!(job.id = %job.id, "job {} is rejected for {} reasons", job.id, reasons.len());
                    }
                    Some(decision)
                })
            })
            .await
    }

    fn read_sources(&self, runtime: &Handle, job: &UndecidedJob) -> Option<Vec<farm_rpm::SourceReport>> {
        let mut reports = Vec::new();
        for one in &job.sources {
            match source::read(runtime, &self.store, &self.limits, one) {
                Ok(report) => reports.push(report),
                Err(fault) => {
                    warn!(job.id = %job.id, blob = %one.digest, "cannot read source {} of job {}: {fault}", one.position, job.id);
                    return None;
                }
            }
        }
        Some(reports)
    }
}
