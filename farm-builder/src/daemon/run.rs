//! The parts of the daemon, from hello to the end.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use farm_api::{client::ClientError, error::ErrorCode, hub::Welcome};
use farm_daemon::{
    Backoff, CancellationToken, Supervisor,
    http::{self, HttpConfig},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};

use super::{
    assignment::Workshop,
    board::Board,
    config::{Config, DriverKind},
    handover::{self, Line},
    hub::Hub,
    slots::Slots,
    spool,
    standing::{Order, Standing},
    work::Work,
};
use crate::{
    driver::Driver,
    mock::MockDriver,
    native::{NativeConfig, NativeDriver, Room},
};

/// How much longer than its builds a predecessor may take to end.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Claims tasks and builds them until `shutdown`; then finishes what it can in time and gives the rest back.
///
/// At SIGUSR1 it takes no more tasks and ends when the last build has ended, however long that takes. At SIGUSR2 it starts a successor by
/// the command line that it was started with, which takes over, and ends likewise.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    match config.driver {
        DriverKind::Native => {
            let room = Room { bytes: config.thresholds.disk_bytes, files: config.thresholds.files };
            let native =
                NativeConfig { cache_bytes: config.cache_bytes, room, ..NativeConfig::new(config.data.clone()) };
            let driver = NativeDriver::new(native).await.context("the native driver cannot work on this machine")?;
            let driver = driver.with_scratch(config.scratch);
            run_with(driver, config, shutdown).await
        }
        DriverKind::Mock => {
            let driver = MockDriver::new(&config.data, config.mock.clone()).await;
            run_with(driver.context("the mock driver cannot work on this machine")?, config, shutdown).await
        }
    }
}

/// The same with any driver.
pub async fn run_with<D: Driver>(driver: D, config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut predecessor = handover::predecessor()?;
    let token = config.token_file().map(|file| farm_auth::read_token_file(&file)).transpose()?;
    if token.is_none() {
        tracing::info!("there is no token: the hub gets the Kerberos ticket of this host");
    }
    let hub = Arc::new(Hub::new(config.hub.addresses(), config.ca_file.as_deref(), token.as_ref())?);
    let spool = spool::Folder::open(&config.data, &config.name, hub.instance())?;
    let standing = Standing::new();
    // Before the first claim.
    standing.look(&config.thresholds, &config.data);
    let mut parts = Supervisor::new(shutdown.clone());
    parts.spawn("the signals", heed_signals(Arc::clone(&standing), shutdown.clone())?);
    let Some(welcome) = say_hello(&hub, &config, predecessor.is_some(), &shutdown).await? else { return Ok(()) };
    let renew_every = Duration::from_secs(welcome.renew_seconds.max(1).into());
    let slots = slots_to_fill(config.slots, &welcome);
    farm_daemon::ready(None);
    if let Some(line) = &mut predecessor {
        line.say_ready().await;
    }

    let (board, over) = (Board::new(), CancellationToken::new());
    let slots = Arc::new(Slots::new(config.data.join("slots").join(config.name.as_str()), slots));
    let (serving, serves) = watch::channel(false);
    let (left_alone, alone) = watch::channel(predecessor.is_none());
    if let Some(line) = predecessor {
        let drain = Duration::from_secs(config.drain_seconds);
        parts.spawn("the line to the predecessor", heed_predecessor(line, left_alone, drain, shutdown.clone()));
    }
    let health = Health { hub: Arc::clone(&hub), standing: Arc::clone(&standing), serving, shutdown: shutdown.clone() };
    parts.spawn("serving health and metrics", health.serve(config.metrics.clone()));
    parts.spawn("the slots", {
        let (slots, over) = (Arc::clone(&slots), over.clone());
        async move { slots.attend(over).await.context("the files of the slots cannot be locked") }
    });
    parts.spawn("the watch over the machine", {
        let (standing, hub, over) = (Arc::clone(&standing), Arc::clone(&hub), over.clone());
        let (thresholds, folder) = (config.thresholds.clone(), config.data.clone());
        async move { standing.watch(thresholds, folder, hub, over).await }
    });
    parts.spawn("the renewal of leases", {
        let (board, hub, over) = (Arc::clone(&board), Arc::clone(&hub), over.clone());
        async move {
            board.keep_renewed(&hub, renew_every, over).await;
            Ok(())
        }
    });
    let leaves = config.deregister_on_exit.then(|| Arc::clone(&hub));
    let workshop = Arc::new(Workshop { config, hub, driver, spool: spool.path().to_owned() });
    let work = Work { workshop, board, slots, standing, alone, serves, shutdown };
    parts.spawn("the work", async move {
        // Leases are renewed for as long as anything is built.
        let _over = over.drop_guard();
        work.run().await
    });
    let ended = parts.wait().await;
    if let Some(hub) = leaves {
        leave_for_good(&hub).await;
    }
    drop(spool);
    ended
}

/// How many slots there are: what the configuration says, and no more than the farm lets this builder have.
fn slots_to_fill(ours: u32, welcome: &Welcome) -> u32 {
    match welcome.slots {
        Some(allowed) if allowed < ours => {
            tracing::warn!("this builder would have {ours} slots, and the farm lets it have {allowed}");
            allowed.max(1)
        }
        _ => ours,
    }
}

/// Has this builder taken off the farm's list. It holds nothing any more.
async fn leave_for_good(hub: &Hub) {
    match timeout(LAST_WORDS, hub.leave(true)).await {
        Ok(Ok(())) => tracing::info!("the farm knows that this builder has left"),
        // A successor has our name.
        Ok(Err(error)) if error.code() == Some(ErrorCode::Conflict) => tracing::info!("this builder stays: {error}"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the farm could not be told that this builder has left; it will notice")
        }
        Err(_) => {
            tracing::warn!("no hub answers, so the farm could not be told that this builder has left; it will notice")
        }
    }
}

/// Makes orders of signals.
fn heed_signals(
    standing: Arc<Standing>,
    shutdown: CancellationToken,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send> {
    let mut drain = signal(SignalKind::user_defined1()).context("cannot listen for signals")?;
    let mut hand_over = signal(SignalKind::user_defined2()).context("cannot listen for signals")?;
    Ok(async move {
        loop {
            let order = tokio::select! {
                () = shutdown.cancelled() => break,
                _ = drain.recv() => Order::Drain,
                _ = hand_over.recv() => Order::HandOver,
            };
            match standing.ordered() {
                None => {
                    tracing::info!("no more tasks are taken: {}", order.reason());
                    standing.order(Some(order));
                }
                Some(earlier) => tracing::warn!("a signal comes too late: {}", earlier.reason()),
            }
        }
        standing.order(Some(Order::End));
        Ok(())
    })
}

/// Notes when the predecessor has ended. When this daemon is told to end, the predecessor is too, and is waited for.
async fn heed_predecessor(
    mut line: Line,
    left_alone: watch::Sender<bool>,
    drain: Duration,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if shutdown.run_until_cancelled(line.hung_up()).await.is_none() {
        line.hang_up().await;
        if timeout(drain + LAST_WORDS, line.hung_up()).await.is_err() {
            tracing::warn!("the predecessor does not end");
        }
        return Ok(());
    }
    tracing::info!("the predecessor has ended");
    left_alone.send_replace(true);
    shutdown.cancelled().await;
    Ok(())
}

/// Health and metrics.
struct Health {
    hub: Arc<Hub>,
    standing: Arc<Standing>,
    serving: watch::Sender<bool>,
    shutdown: CancellationToken,
}

impl Health {
    /// Serves until the end, but not while a successor takes over, which serves at the same address.
    async fn serve(self, config: Option<HttpConfig>) -> anyhow::Result<()> {
        while !self.shutdown.is_cancelled() {
            let health = Arc::clone(&self.hub);
            let is_ready = move || std::future::ready(health.trouble().map_or(Ok(()), Err));
            let until = self.shutdown.child_token();
            let served = http::serve_health(config.clone(), is_ready, until.clone());
            tokio::pin!(served);
            self.serving.send_replace(true);
            tokio::select! {
                ended = &mut served => ended?,
                () = self.standing.until(|order| order == Some(Order::HandOver)) => {
                    until.cancel();
                    served.await?;
                }
            }
            self.serving.send_replace(false);
            self.shutdown.run_until_cancelled(self.standing.until(|order| order != Some(Order::HandOver))).await;
        }
        Ok(())
    }
}

/// Says hello until the hub answers; `None` if told to end before. A refusal is final: the name or the token is wrong.
pub async fn say_hello(
    hub: &Hub,
    config: &Config,
    successor: bool,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Welcome>> {
    let mut backoff = Backoff::default();
    loop {
        let hello = hub.hello(&config.name, &config.arches, config.slots, successor);
        let asked = match shutdown.run_until_cancelled(hello).await {
            None => return Ok(None),
            Some(Ok(welcome)) => {
                tracing::info!(builder.id = %welcome.builder, builder.name = %config.name, slots = config.slots, "the hub knows us");
                return Ok(Some(welcome));
            }
            Some(Err(
                error @ (ClientError::Unreachable { .. }
                | ClientError::Unavailable { .. }
                | ClientError::Login { passing: true, .. }),
            )) => {
                tracing::warn!(%error, "waiting for the hub");
                error.retry_after()
            }
            Some(Err(error)) => return Err(error).context("the hub does not take this builder"),
        };
        if !backoff.wait_as_asked(asked, shutdown).await {
            return Ok(None);
        }
    }
}
