//! When to publish what.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use farm_daemon::{Backoff, CancellationToken, Supervisor, http, ready};
use farm_db::{
    Channel, Heard, Introduction, Pool,
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
    let introduction = farm_db::introduce(&config.database, "farm_publisher").await?;
    let pool = Pool::new(&config.database, 2, config.connection_max_age_seconds)?;
    let store = Store::open(&config.store, &config.spool)?;
    fs_err::create_dir_all(&config.repositories)?;
    let (metrics, asked) = (config.metrics.clone(), pool.clone());
    let up = move || {
        let asked = asked.clone();
        async move { asked.probe().await.map_err(|error| error.to_string()) }
    };
    let built = Notify::new();
    let publisher = Publisher { pool, store, createrepo, config, built, shutdown: shutdown.clone() };
    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("serving health and metrics", http::serve_health(metrics, up, shutdown));
    parts.spawn("the publisher", Arc::new(publisher).begin(introduction));
    parts.wait().await
}

impl Publisher {
    /// Works, once the database is there.
    async fn begin(self: Arc<Self>, introduction: Introduction) -> anyhow::Result<()> {
        let Some(introduced) = self.shutdown.run_until_cancelled(introduction.complete()).await else { return Ok(()) };
        introduced?;
        let mut backoff = pauses();
        while let Err(error) = self.find_lost().await {
            warn!("cannot compare the folder with the database: {error}; trying again");
            if !backoff.wait(&self.shutdown).await {
                return Ok(());
            }
        }
        let mut parts = Supervisor::new(self.shutdown.clone());
        parts.spawn("listening for what is built", Arc::clone(&self).listen(self.config.database.clone()));
        parts.spawn("publishing", Arc::clone(&self).work());
        parts.spawn("removing what has served its time", self.tidy());
        ready(None);
        parts.wait().await
    }

    /// Has repositories published again that are public by the database, but not in the folder: it may be a new disk.
    async fn find_lost(&self) -> farm_db::Result<()> {
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
        let (mut backoff, mut failed) = (pauses(), HashMap::new());
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

/// Between two tries of what the database did not do.
fn pauses() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_secs(15))
}

fn tidy_all(root: &std::path::Path, grace: Duration) -> anyhow::Result<u64> {
    Folder::all(root)?.iter().try_fold(0, |removed, folder| Ok(removed + tidy(folder, grace)?))
}
