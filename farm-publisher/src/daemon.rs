//! When to publish what.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use farm_daemon::{Backoff, CancellationToken, Supervisor, http, ready};
use farm_db::{
    Channel, Heard, Pool,
    publish::{self, Publication, Repository},
};
use farm_store::Store;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::{
    Config,
    folder::Folder,
    metadata::Createrepo,
    publication::{self, tidy},
};

/// How often files that have served their time are looked for, at most.
const TIDY_PERIOD: Duration = Duration::from_secs(60);

struct Publisher {
    pool: Pool,
    store: Store,
    createrepo: Createrepo,
    config: Config,
    /// Something may have been built.
    built: Notify,
    shutdown: CancellationToken,
}

/// What came of one repository.
enum Outcome {
    /// It is public.
    Published,
    /// Somebody else published it, or is at it, or there was no time left.
    Nothing,
}

/// Publishes what is built until told to end; a switch under way is ended first.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let createrepo = Createrepo::find(&config.createrepo).await.context("the publisher cannot make metadata")?;
    farm_db::introduce(&config.database, "farm_publisher").await?;
    let pool = Pool::new(&config.database, 2, config.connection_max_age_seconds)?;
    pool.probe().await.context("the publisher cannot use its database")?;
    let store = Store::open(&config.store, &config.spool)?;
    fs_err::create_dir_all(&config.repositories)?;
    let conninfo = config.database.clone();
    let metrics = config.metrics.clone();
    let (built, pool_of_health) = (Notify::new(), pool.clone());
    let publisher = Arc::new(Publisher { pool, store, createrepo, config, built, shutdown: shutdown.clone() });
    publisher.find_lost().await.context("the publisher cannot compare its folder with the database")?;

    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("listening for what is built", publisher.clone().listen(conninfo));
    parts.spawn("publishing", publisher.clone().work());
    parts.spawn("removing what has served its time", publisher.tidy());
    let up = move || {
        let pool = pool_of_health.clone();
        async move { pool.probe().await.map_err(|error| error.to_string()) }
    };
    parts.spawn("serving health and metrics", http::serve_health(metrics, up, shutdown));
    ready(None);
    parts.wait().await
}

impl Publisher {
    /// Has repositories published again that are public by the database, but not in the folder: it may be a new disk.
    async fn find_lost(&self) -> anyhow::Result<()> {
        for Publication { repository, .. } in self.pool.run(publish::publications).await? {
            if !self.folder(&repository).repomd().exists() {
                warn!("the repository {repository} is lost; publishing it again");
                self.pool.run(move |conn| publish::publish_again(conn, &repository)).await?;
            }
        }
        Ok(())
    }

    /// Wakes the work: after each change of a job, and after each time the connection was away.
    async fn listen(self: Arc<Self>, conninfo: String) -> anyhow::Result<()> {
        let rescan = self.config.rescan_seconds;
        let listening =
            farm_db::listen(&conninfo, &[Channel::Job], self.config.connection_max_age_seconds, |heard| match heard {
                // Any number of these while a look is under way become one more look.
                Heard::Connected | Heard::Told(_) => self.built.notify_one(),
                Heard::Lost(error) => {
                    warn!("not listening for what is built: {error}; looking every {rescan} s meanwhile")
                }
            });
        self.shutdown.run_until_cancelled(listening).await;
        Ok(())
    }

    async fn work(self: Arc<Self>) -> anyhow::Result<()> {
        let rescan = Duration::from_secs(self.config.rescan_seconds);
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
        let mut failed = HashMap::new();
        while !self.shutdown.is_cancelled() {
            match self.look(&mut failed, rescan).await {
                Ok(published) if published > 0 => {
                    backoff.reset();
                    // More may have been built meanwhile.
                    self.settle().await;
                }
                Ok(_) => {
                    backoff.reset();
                    tokio::select! {
                        () = self.built.notified() => self.settle().await,
                        () = tokio::time::sleep(rescan) => {}
                        () = self.shutdown.cancelled() => {}
                    }
                }
                Err(error) => {
                    warn!("cannot learn what to publish: {error}; trying again");
                    backoff.wait(&self.shutdown).await;
                }
            }
        }
        Ok(())
    }

    /// Waits for more to publish at the same time.
    async fn settle(&self) {
        let settle = Duration::from_millis(self.config.settle_milliseconds);
        self.shutdown.run_until_cancelled(tokio::time::sleep(settle)).await;
    }

    /// Publishes what is out of date, and answers how many repositories. One that cannot be published now does not keep the
    /// others from it, and is tried again after a while.
    async fn look(&self, failed: &mut HashMap<Repository, Instant>, pause: Duration) -> farm_db::Result<u64> {
        failed.retain(|_, at| at.elapsed() < pause);
        let mut published = 0;
        for repository in self.pool.run(publish::unpublished).await? {
            if failed.contains_key(&repository) || self.shutdown.is_cancelled() {
                continue;
            }
            match self.publish(&repository).await {
                Ok(Outcome::Published) => published += 1,
                Ok(Outcome::Nothing) => {}
                Err(error) => {
                    metrics::counter!("farm_publication_faults_total").increment(1);
                    warn!(
                        "cannot publish {repository}: {error:#}; it stays as it was and is tried again in {} s",
                        pause.as_secs()
                    );
                    failed.insert(repository, Instant::now());
                }
            }
        }
        Ok(published)
    }

    async fn publish(&self, repository: &Repository) -> anyhow::Result<Outcome> {
        let folder = self.folder(repository);
        let Some(_lock) = folder.lock()? else { return Ok(Outcome::Nothing) };
        // Asked again under the lock: another publisher may have done it until now.
        let asked = repository.clone();
        let Some(contents) = self.pool.run(move |conn| publish::contents(conn, &asked)).await? else {
            return Ok(Outcome::Nothing);
        };
        let wanted = contents.packages;
        let done = publication::publish(&self.store, &self.createrepo, &folder, wanted, &self.shutdown).await?;
        let Some(packages) = done else { return Ok(Outcome::Nothing) };
        let (asked, reasons) = (repository.clone(), contents.reasons);
        let revision = self.pool.run(move |conn| publish::published(conn, &asked, &reasons, packages)).await?;
        metrics::counter!("farm_publications_total").increment(1);
        info!(packages, revision, "published {repository}: {packages} packages, revision {revision}");
        Ok(Outcome::Published)
    }

    async fn tidy(self: Arc<Self>) -> anyhow::Result<()> {
        let grace = Duration::from_secs(self.config.grace_seconds);
        let period = TIDY_PERIOD.min(grace).max(Duration::from_secs(1));
        while !self.shutdown.is_cancelled() {
            let root = self.config.repositories.clone();
            let tidied = tokio::task::spawn_blocking(move || tidy_all(&root, grace)).await?;
            match tidied {
                Ok(0) => {}
                Ok(removed) => info!(removed, "removed {removed} files that had served their time"),
                Err(error) => warn!("cannot remove what has served its time: {error:#}; trying again"),
            }
            self.shutdown.run_until_cancelled(tokio::time::sleep(period)).await;
        }
        Ok(())
    }

    fn folder(&self, repository: &Repository) -> Folder {
        Folder::new(&self.config.repositories, repository)
    }
}

fn tidy_all(root: &std::path::Path, grace: Duration) -> anyhow::Result<u64> {
    Folder::all(root)?.iter().try_fold(0, |removed, folder| Ok(removed + tidy(folder, grace)?))
}
