//! What all requests share.

use std::sync::Arc;

use anyhow::Context as _;
use farm_auth::{Remembered, negotiate::Acceptor};
use farm_daemon::CancellationToken;
use farm_db::{Pool, access::TokenBearer};
use farm_store::Store;
use farm_types::Digest;

use crate::{Config, error::Result, watch::Watch};

/// What all requests share; cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// The database.
    pub pool: Pool,
    /// The blobs.
    pub store: Store,
    /// Checks tickets, where there is a key for them.
    pub acceptor: Option<Acceptor>,
    /// Tokens that were good a moment ago.
    pub known: Remembered<Digest, TokenBearer>,
    /// Changes of jobs.
    pub watch: Watch,
    /// Ends streams that would go on for ever.
    pub shutdown: CancellationToken,
}

impl App {
    /// Opens what the configuration names. The database is reached with the first query only.
    pub fn open(config: Config, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let pool = Pool::new(&config.database, config.pool_size, config.connection_max_age_seconds)?;
        let store = Store::open(&config.store, &config.spool)?;
        let acceptor = match config.kerberos.service_keytab {
            Some(_) => Some(Acceptor::new(config.service.as_deref()).context("farm-web cannot check tickets")?),
            None => None,
        };
        let (known, config) = (Remembered::default(), Arc::new(config));
        Ok(Self { config, pool, store, acceptor, watch: Watch::default(), known, shutdown })
    }

    /// Runs a verb of farm-db.
    pub async fn db<T, F>(&self, verb: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut farm_db::PgConnection) -> farm_db::Result<T> + Send + 'static,
    {
        Ok(self.pool.run(verb).await?)
    }

    /// Whether requests can be served now; if not, why.
    pub async fn ready(&self) -> Result<(), String> {
        self.pool.probe().await.map_err(|e| e.to_string())?;
        self.store.check().await.map_err(|e| e.to_string())
    }
}
