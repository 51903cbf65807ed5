//! What all calls share.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use farm_auth::{Remembered, negotiate::Acceptor};
use farm_daemon::CancellationToken;
use farm_db::{Pool, operator::KnownBuilder};
use farm_store::Store;
use farm_types::Digest;
use tokio::sync::watch;

use crate::{Config, batches::Batches, dispatch::Desk, orders::Orders};

/// Of so many connections one is for what keeps leases.
const RESERVED: usize = 4;

/// Every builder comes again within that time: of an idle one no token is looked up for each call. Whoever is shut out is so at once, by a
/// notification; while none would be heard, nothing is remembered.
const REMEMBER: Duration = Duration::from_secs(120);

/// The hub: its doors to the database and the store, and who waits.
pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) pool: Pool,
    /// Connections for what keeps leases and takes results, so that it goes on whatever else is asked.
    pub(crate) reserve: Pool,
    /// What is asked for many builders at once.
    pub(crate) batches: Batches,
    pub(crate) store: Store,
    /// Checks tickets, where there is a key for them.
    pub(crate) acceptor: Option<Acceptor>,
    /// Who comes with which token: a builder calls several times a second while a log runs.
    pub(crate) tokens: Remembered<Digest, KnownBuilder>,
    /// Where builders wait for tasks.
    pub(crate) desk: Desk,
    /// A lease of theirs was taken away.
    pub(crate) orders: Orders,
    /// They take no more tasks: their claims that wait are to come back.
    pub(crate) recalls: Orders,
    /// Whether notifications are heard now.
    pub(crate) hearing: watch::Sender<bool>,
    pub(crate) shutdown: CancellationToken,
}

/// The hub as the calls have it.
pub(crate) type Shared = Arc<Hub>;

impl Hub {
    pub(crate) fn open(config: Config, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let acceptor = match config.kerberos.service_keytab {
            Some(_) => Some(Acceptor::new(config.service.as_deref()).context("the hub cannot check tickets")?),
            None => None,
        };
        let reserved = config.pool_size.div_ceil(RESERVED);
        let pool_of = |size: usize| Pool::new(&config.database, size.max(1), config.connection_max_age_seconds);
        let (pool, reserve) = (pool_of(config.pool_size.saturating_sub(reserved))?, pool_of(reserved)?);
        Ok(Self {
            batches: Batches::new(&pool, &reserve, config.lease_seconds),
            pool,
            reserve,
            store: Store::open(&config.store, &config.spool)?,
            acceptor,
            tokens: Remembered::lasting(REMEMBER),
            desk: Desk::new(config.max_waiting),
            orders: Orders::default(),
            recalls: Orders::default(),
            hearing: watch::Sender::new(false),
            shutdown,
            config,
        })
    }

    /// Whether it can do its work; if not, what is missing.
    pub(crate) async fn readiness(&self) -> Result<(), String> {
        self.pool.probe().await.map_err(|e| e.to_string())?;
        if *self.hearing.borrow() { Ok(()) } else { Err("notifications of the database are not heard yet".to_owned()) }
    }
}
