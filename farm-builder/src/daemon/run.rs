//! Slots, the claim loop, and the end.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use farm_api::{client::ClientError, error::ErrorCode, hub::Lease};
use farm_daemon::{Backoff, CancellationToken, Supervisor, http};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    assignment::Workshop,
    board::Board,
    config::{Config, DriverKind},
    hub::Hub,
    numbers,
    room::wait_for_room,
};
use crate::{
    driver::Driver,
    mock::MockDriver,
    native::{NativeConfig, NativeDriver},
};

/// How long a claim waits in the hub.
const CLAIM_WAIT: Duration = Duration::from_secs(30);

/// Claims tasks and builds them until `shutdown`; then finishes what it can in time and gives the rest back.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    match config.driver {
        DriverKind::Native => {
            let native = NativeConfig { cache_bytes: config.cache_bytes, ..NativeConfig::new(config.data.clone()) };
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
    let token = config.token_file().map(|file| farm_auth::read_token_file(&file)).transpose()?;
    if token.is_none() {
        tracing::info!("there is no token: the hub gets the Kerberos ticket of this host");
    }
    let hub = Arc::new(Hub::new(&config.hub, config.ca_file.as_deref(), token.as_ref())?);
    let spool = config.data.join("spool").join(config.name.as_str());
    // The leases of an earlier life end with the next hello, so nothing of it is of use.
    match fs_err::remove_dir_all(&spool) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs_err::create_dir_all(&spool)?,
    }
    let Some(renew_every) = say_hello(&hub, &config, &shutdown).await? else { return Ok(()) };
    farm_daemon::ready(None);

    let (board, over) = (Board::new(), CancellationToken::new());
    let mut parts = Supervisor::new(shutdown.clone());
    let metrics = config.metrics.clone();
    let health = Arc::clone(&hub);
    let is_ready = move || std::future::ready(health.trouble().map_or(Ok(()), Err));
    parts.spawn("serving health and metrics", http::serve_health(metrics, is_ready, shutdown.clone()));
    let renewals = (Arc::clone(&board), Arc::clone(&hub), over.clone());
    parts.spawn("the renewal of leases", async move {
        let (board, hub, over) = renewals;
        board.keep_renewed(&hub, renew_every, over).await;
        Ok(())
    });
    let workshop = Arc::new(Workshop { config, hub, driver, spool });
    parts.spawn("the work", async move {
        // Leases are renewed for as long as anything is built.
        let _over = over.drop_guard();
        work(workshop, board, shutdown).await
    });
    parts.wait().await
}

/// Says hello until the hub answers; `None` if told to end before. A refusal is final: the name or the token is wrong.
async fn say_hello(hub: &Hub, config: &Config, shutdown: &CancellationToken) -> anyhow::Result<Option<Duration>> {
    let mut backoff = Backoff::default();
    loop {
        let hello = hub.hello(&config.name, &config.arches, config.slots);
        match shutdown.run_until_cancelled(hello).await {
            None => return Ok(None),
            Some(Ok(welcome)) => {
                tracing::info!(builder.id = %welcome.builder, builder.name = %config.name, slots = config.slots, "the hub knows us");
                return Ok(Some(Duration::from_secs(welcome.renew_seconds.max(1).into())));
            }
            Some(Err(
                error @ (ClientError::Unreachable { .. }
                | ClientError::Unavailable { .. }
                | ClientError::Login { passing: true, .. }),
            )) => tracing::warn!(%error, "waiting for the hub"),
            Some(Err(error)) => return Err(error).context("the hub does not take this builder"),
        }
        if !backoff.wait(shutdown).await {
            return Ok(None);
        }
    }
}

async fn work<D: Driver>(
    workshop: Arc<Workshop<D>>,
    board: Arc<Board>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut builds = JoinSet::new();
    let claimed = claim(&workshop, &board, &shutdown, &mut builds).await;
    let drain = Duration::from_secs(workshop.config.drain_seconds);
    if !builds.is_empty() {
        tracing::info!(builds = builds.len(), "builds may go on for {} seconds", drain.as_secs());
    }
    let drained = async { while builds.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        board.give_all_back();
        while builds.join_next().await.is_some() {}
    }
    claimed
}

/// Claims as many tasks as there are free slots, until told to end.
async fn claim<D: Driver>(
    workshop: &Arc<Workshop<D>>,
    board: &Arc<Board>,
    shutdown: &CancellationToken,
    builds: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let (hub, slots) = (&workshop.hub, workshop.config.slots);
    let free = Arc::new(Semaphore::new(usize::try_from(slots)?));
    let mut backoff = Backoff::default();
    loop {
        let Some(slot) = shutdown.run_until_cancelled(free.acquire()).await else { return Ok(()) };
        drop(slot?);
        while builds.try_join_next().is_some() {}
        numbers::slots(slots, builds.len());
        if !wait_for_room(&workshop.spool, shutdown).await {
            return Ok(());
        }
        let want = u32::try_from(free.available_permits())?;
        let leases = match shutdown.run_until_cancelled(hub.claim(want, CLAIM_WAIT)).await {
            None => return Ok(()),
            Some(answer) => hub.note(answer),
        };
        match leases {
            Ok(leases) => {
                backoff.reset();
                for lease in leases {
                    let slot = Arc::clone(&free).acquire_owned().await?;
                    builds.spawn(begin(Arc::clone(workshop), board, lease, slot));
                }
            }
            Err(error) if is_final(&error) => return Err(error).context("the hub does not take this builder any more"),
            Err(error) => {
                tracing::warn!(%error, "no tasks can be claimed at the moment");
                if !backoff.wait(shutdown).await {
                    return Ok(());
                }
            }
        }
        numbers::slots(slots, builds.len());
    }
}

/// Holds a lease from this moment on, and carries it out.
fn begin<D: Driver>(
    workshop: Arc<Workshop<D>>,
    board: &Arc<Board>,
    lease: Lease,
    slot: tokio::sync::OwnedSemaphorePermit,
) -> impl Future<Output = ()> + Send + 'static {
    let held = board.hold(lease.key);
    async move {
        let _slot = slot;
        workshop.carry_out(held, lease).await;
    }
}

/// Whether there is no use in asking again: another daemon has our name, or the token is not valid any more.
fn is_final(error: &ClientError) -> bool {
    matches!(error, ClientError::NotAllowed(_)) || error.code() == Some(ErrorCode::Conflict)
}
