//! The private PostgreSQL, kept running.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use farm_daemon::{Backoff, CancellationToken};
use farm_postgres::{Options, PrivatePostgres, Shutdown};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::warn;

use super::Layout;

/// Every daemon has a small pool of its own.
const CONNECTIONS: &str = "100";

/// A PostgreSQL that is started again when it ends by itself.
pub(crate) struct KeptPostgres {
    server: Arc<Mutex<PrivatePostgres>>,
    end: CancellationToken,
    keeper: JoinHandle<()>,
}

impl KeptPostgres {
    /// Starts it in the farm's data folder, and makes it there if there is none.
    pub(crate) async fn start(layout: &Layout) -> anyhow::Result<Self> {
        let dir = layout.postgres();
        let options = Options::persistent().set("max_connections", CONNECTIONS);
        let server = spawn_blocking(move || PrivatePostgres::start(&dir, &options)).await??;
        let (server, end) = (Arc::new(Mutex::new(server)), CancellationToken::new());
        let keeper = tokio::spawn(keep(Arc::clone(&server), end.clone()));
        Ok(Self { server, end, keeper })
    }

    /// How to connect to a database as a role.
    pub(crate) fn conninfo(&self, role: &str, database: &str) -> String {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).url(role, database)
    }

    /// How to connect to a database with all rights.
    pub(crate) fn superuser_conninfo(&self, database: &str) -> String {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).superuser_url(database)
    }

    /// Stops it in good order.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.end.cancel();
        self.keeper.await?;
        let server = Arc::into_inner(self.server).context("PostgreSQL is still in use")?;
        let server = server.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(spawn_blocking(move || server.stop()).await??)
    }
}

async fn keep(server: Arc<Mutex<PrivatePostgres>>, end: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
    loop {
        let run = server.lock().unwrap_or_else(PoisonError::into_inner).ended();
        // The wait blocks, and nothing ends it but the end of the server: a thread that is left behind when we are told to
        // end goes with the server that is stopped next.
        let ended = spawn_blocking(move || run.wait());
        tokio::select! {
            _ = ended => warn!("PostgreSQL ended by itself and is started again; see postgres/postgres.log"),
            () = end.cancelled() => return,
        }
        while !end.is_cancelled() {
            let server = Arc::clone(&server);
            let again = move || server.lock().unwrap_or_else(PoisonError::into_inner).restart(Shutdown::Crash);
            match spawn_blocking(again).await {
                Ok(Ok(())) => {
                    backoff.reset();
                    break;
                }
                Ok(Err(error)) => warn!("PostgreSQL does not start: {error}"),
                Err(error) => warn!("PostgreSQL does not start: {error}"),
            }
            backoff.wait(&end).await;
        }
    }
}
