//! The loops around the chores.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use farm_daemon::{Backoff, CancellationToken, Supervisor, http, ready};
use farm_db::{
    Introduction,
    chores::{self, ChoreEnd},
};
use futures::future::BoxFuture;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    Config,
    chores::{CHORES, Chore, Report, Tools, Work},
};

/// A janitor that another one was faster than looks again after this time at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A chore that has more and more to do lets the loop breathe after this time: less than the lease on it.
const LONGEST_TURN: Duration = Duration::from_secs(300);
/// Chores that are done more often than this are done by every janitor: that costs little, and nobody has to notice first that one
/// of them has died.
const OFTEN: Duration = Duration::from_secs(10);

/// Does the chores until told to end.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let introduction = farm_db::introduce(&config.database, "farm_janitor").await?;
    let tools = Tools::open(&config)?;
    let asked = tools.pool.clone();
    let up = move || {
        let asked = asked.clone();
        async move { asked.probe().await.map_err(|error| error.to_string()) }
    };
    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("serving health and metrics", http::serve_health(config.metrics, up, shutdown.clone()));
    parts.spawn("the janitor", work(introduction, tools, shutdown));
    parts.wait().await
}

/// Does all chores, each again and again, once the database is there.
async fn work(introduction: Introduction, tools: Tools, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Some(introduced) = shutdown.run_until_cancelled(introduction.complete()).await else { return Ok(()) };
    introduced?;
    let mut parts = Supervisor::new(shutdown.clone());
    let (janitor, settle) = (Uuid::new_v4(), Duration::from_secs(tools.config.settle_seconds));
    for chore in CHORES {
        if chore.name == "reap" {
            let reap = once_settled(chore.run_once, settle, shutdown.clone());
            parts.spawn(chore.what, repeat(chore, janitor, &tools, reap, &shutdown));
        } else {
            parts.spawn(chore.what, repeat(chore, janitor, &tools, chore.run_once, &shutdown));
        }
    }
    ready(None);
    parts.wait().await
}

/// Reaps, but not at once after a time in which the database may have been away: nobody could renew then, so all leases of the
/// farm would have run out and every build would be lost.
fn once_settled(
    reap: Work<Report>,
    settle: Duration,
    shutdown: CancellationToken,
) -> impl Fn(Tools) -> BoxFuture<'static, anyhow::Result<Report>> + Send + Sync + 'static {
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
            let report = reap(tools).await;
            settled.store(report.is_ok(), Ordering::Relaxed);
            report
        })
    }
}

/// Runs a chore again and again. A fault (the database is away, the store is full) is logged and tried again later.
fn repeat<R>(
    chore: &'static Chore,
    janitor: Uuid,
    tools: &Tools,
    run_once: R,
    shutdown: &CancellationToken,
) -> impl Future<Output = anyhow::Result<()>> + Send + 'static
where
    R: Fn(Tools) -> BoxFuture<'static, anyhow::Result<Report>> + Send + Sync + 'static,
{
    let (tools, shutdown, name) = (tools.clone(), shutdown.clone(), chore.name);
    async move {
        let period = Duration::from_secs((chore.seconds)(&tools.config));
        let spacing = if period < OFTEN { Duration::ZERO } else { period };
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        // What is not through, or went wrong, is gone on with before the next period.
        let mut due_now = false;
        while !shutdown.is_cancelled() {
            let spacing = if due_now { Duration::ZERO } else { spacing };
            let done = turn(chore, janitor, spacing, &tools, &run_once).await;
            due_now = goes_on(&done);
            let rest = match done {
                Ok(Some(Report { more: true, .. })) => Duration::ZERO,
                Ok(Some(_)) => period,
                Ok(None) => period.min(LOOK_AGAIN),
                Err(error) => {
                    metrics::counter!("farm_chore_faults_total", "chore" => name).increment(1);
                    warn!(chore = name, "chore {name} could not be done: {error:#}; trying again");
                    backoff.wait(&shutdown).await;
                    continue;
                }
            };
            backoff.reset();
            shutdown.run_until_cancelled(tokio::time::sleep(rest)).await;
        }
        Ok(())
    }
}

/// Whether a chore is to be gone on with before its next period: it went wrong, or there is more to do.
fn goes_on(done: &anyhow::Result<Option<Report>>) -> bool {
    !matches!(done, Ok(None | Some(Report { more: false, .. })))
}

/// Does a chore now, whenever it was done last, as an operator asks for. `None`: a janitor is at it.
pub async fn run_chore(chore: &'static Chore, tools: &Tools) -> anyhow::Result<Option<Report>> {
    turn(chore, Uuid::new_v4(), Duration::ZERO, tools, &chore.run_once).await
}

/// Does a chore if it is time and nobody else is at it, and writes down what came of it.
async fn turn<R>(
    chore: &Chore,
    janitor: Uuid,
    spacing: Duration,
    tools: &Tools,
    run_once: &R,
) -> anyhow::Result<Option<Report>>
where
    R: Fn(Tools) -> BoxFuture<'static, anyhow::Result<Report>>,
{
    let name = chore.name;
    let lease = lease_seconds(chore, tools);
    if !tools.pool.run(move |conn| chores::begin(conn, name, janitor, spacing.as_secs_f64(), lease)).await? {
        return Ok(None);
    }
    let began = Instant::now();
    let result = until_done(tools, run_once).await;
    let mut end = ChoreEnd { seconds: began.elapsed().as_secs_f32(), ..ChoreEnd::default() };
    match &result {
        Ok(report) => {
            end.done = report.done;
            end.alarms.clone_from(&report.alarms);
            show(name, report, began.elapsed());
        }
        Err(error) => end.error = Some(format!("{error:#}")),
    }
    let written = tools.pool.run(move |conn| chores::end(conn, name, janitor, &end)).await;
    // What kept the chore from being done says more than that this could not be written down either.
    let report = result?;
    written?;
    Ok(Some(report))
}

/// As long as there is more to do, but not for ever.
async fn until_done<R>(tools: &Tools, run_once: &R) -> anyhow::Result<Report>
where
    R: Fn(Tools) -> BoxFuture<'static, anyhow::Result<Report>>,
{
    let (began, mut sum) = (Instant::now(), Report::default());
    loop {
        let report = run_once(tools.clone()).await?;
        sum.done += report.done;
        sum.more = report.more;
        sum.alarms.extend(report.alarms);
        if !sum.more || began.elapsed() > LONGEST_TURN {
            return Ok(sum);
        }
    }
}

/// How long a janitor may be at a chore before another one takes it that it has died. Two at the same chore do no harm.
fn lease_seconds(chore: &Chore, tools: &Tools) -> f64 {
    let period = Duration::from_secs((chore.seconds)(&tools.config));
    if period < OFTEN { period.as_secs_f64() } else { 2.0 * LONGEST_TURN.as_secs_f64() }
}

fn show(name: &'static str, report: &Report, took: Duration) {
    metrics::counter!("farm_chore_done_total", "chore" => name).increment(report.done);
    metrics::gauge!("farm_chore_seconds", "chore" => name).set(took.as_secs_f64());
    metrics::gauge!("farm_chore_alarms", "chore" => name).set(u32::try_from(report.alarms.len()).unwrap_or(u32::MAX));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("farm_chore_last_done_timestamp_seconds", "chore" => name).set(now.as_secs_f64());
    if report.done > 0 {
        info!(chore = name, done = report.done, "chore {name}: dealt with {}", report.done);
    }
    for alarm in &report.alarms {
        warn!(chore = name, "{alarm}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use farm_testing::{TestDb, eventually};

    use super::*;
    use crate::{Chores, chores::find};

    fn tools(db: &TestDb, dir: &std::path::Path) -> Tools {
        let config = Config {
            database: db.url_as("farm_janitor"),
            connection_max_age_seconds: 600,
            kerberos: farm_daemon::KerberosConfig::default(),
            store: farm_store::StoreConfig::Folder { path: dir.join("store") },
            spool: dir.join("spool"),
            reap_seconds: 5,
            reap_grace_seconds: 5,
            settle_seconds: 1,
            seal_seconds: 30,
            upload_idle_seconds: 3600,
            chores: Chores::default(),
            mail: None,
            metrics: None,
            log: farm_daemon::LogConfig::default(),
        };
        Tools::open(&config).unwrap()
    }

    #[test]
    fn what_went_wrong_or_is_not_through_is_gone_on_with_and_nothing_else() {
        assert!(goes_on(&Err(anyhow::anyhow!("the store is away"))));
        assert!(goes_on(&Ok(Some(Report { more: true, ..Report::default() }))));
        assert!(!goes_on(&Ok(Some(Report::done(3)))) && !goes_on(&Ok(None)));
    }

    #[tokio::test]
    async fn a_chore_that_fails_is_gone_on_with_before_its_next_period() {
        let (db, dir) = (TestDb::new(), tempfile::tempdir().unwrap());
        let (tools, shutdown, turns) =
            (tools(&db, dir.path()), CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&turns);
        let work = move |_: Tools| -> BoxFuture<'static, anyhow::Result<Report>> {
            let turn = counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                match turn {
                    0 => anyhow::bail!("the store is away"),
                    _ => Ok(Report::done(1)),
                }
            })
        };
        let chore = find("retention").unwrap();
        assert!((chore.seconds)(&tools.config) > 600, "its period is longer than this test");
        let janitor = tokio::spawn(repeat(chore, Uuid::new_v4(), &tools, work, &shutdown));
        eventually("another try", Duration::from_secs(60), async || (turns.load(Ordering::Relaxed) == 2).then_some(()))
            .await;
        shutdown.cancel();
        janitor.await.unwrap().unwrap();
    }
}
