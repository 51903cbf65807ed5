//! The one door between async programs and the database.
//!
//! Diesel is synchronous because only libpq can log in with Kerberos. A verb runs on a blocking thread with a
//! connection of the pool; a future that is dropped does not stop its statement, so statements have a time limit.

use std::time::Duration;

use deadpool_diesel::{
    Timeouts,
    postgres::{Hook, HookError, Manager, Runtime},
};
use diesel::{Connection, PgConnection, connection::SimpleConnection};

use crate::{DbError, Result};

/// How long a statement may take, and how long a transaction may sit idle. No statement takes as long as compiling it would.
const SESSION: &str = "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '5min'; SET timezone = 'UTC'; SET jit = off";
/// How long to wait for a free connection.
const WAIT: Duration = Duration::from_secs(10);
/// Connections are made anew, so that a principal that was shut out is really out: a connection outlives its ticket.
const MAX_AGE_SECONDS: u64 = 600;

/// For how long somebody who was shut out may stay unless the configuration says otherwise, in seconds.
pub const fn max_age_seconds() -> u64 {
    MAX_AGE_SECONDS
}

/// How old a connection may become when whoever was shut out may stay for so many seconds. Not for all of them: a connection may
/// have been made with a ticket that is a fifth of that time old (`farm_daemon::Login`), and getting the next one takes a moment.
pub(crate) const fn max_age(seconds: u64) -> Duration {
    Duration::from_millis(seconds.saturating_mul(750))
}

/// A pool of connections; cheap to clone.
#[derive(Clone)]
pub struct Pool {
    inner: deadpool_diesel::postgres::Pool,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("status", &self.inner.status()).finish()
    }
}

/// Opens a single connection, for programs that need just one. The conninfo goes to libpq as it is.
pub fn connect(conninfo: &str) -> Result<PgConnection> {
    let mut conn = PgConnection::establish(conninfo)?;
    conn.batch_execute(SESSION)?;
    Ok(conn)
}

/// Logs in and goes, to see whether this process is let in and to have a ticket for it. The error is what libpq says.
pub fn log_in(conninfo: &str) -> std::result::Result<(), String> {
    PgConnection::establish(conninfo).map(drop).map_err(|error| error.to_string())
}

impl Pool {
    /// A pool of at most `size` connections, made when they are needed, of which none is used with which somebody who was shut out
    /// would stay for longer than `max_age_seconds`. The conninfo goes to libpq as it is.
    pub fn new(conninfo: &str, size: usize, max_age_seconds: u64) -> Result<Self> {
        let max_age = max_age(max_age_seconds);
        let timeouts = Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) };
        let inner = deadpool_diesel::postgres::Pool::builder(Manager::new(conninfo, Runtime::Tokio1))
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .timeouts(timeouts)
            .pre_recycle(Hook::sync_fn(move |_, metrics| {
                if metrics.age() > max_age { Err(HookError::message("old enough")) } else { Ok(()) }
            }))
            .post_create(Hook::async_fn(|conn, _| {
                Box::pin(async move {
                    let set = conn.interact(|conn| conn.batch_execute(SESSION)).await;
                    set.map_err(|e| HookError::message(e.to_string()))?.map_err(|e| HookError::message(e.to_string()))
                })
            }))
            .build()
            .map_err(|e| DbError::Unavailable(e.to_string()))?;
        Ok(Self { inner })
    }

    /// Runs one verb.
    pub async fn run<T, F>(&self, verb: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T> + Send + 'static,
    {
        let conn = self.inner.get().await.map_err(|e| DbError::Unavailable(plain(&e.to_string())))?;
        conn.interact(verb).await.map_err(|e| DbError::Unavailable(plain(&e.to_string())))?
    }

    /// Whether the database answers; for readiness and for an early, clear failure at the start.
    pub async fn probe(&self) -> Result<()> {
        self.run(|conn| Ok(conn.batch_execute("SELECT 1")?)).await
    }
}

/// libpq ends its messages with line breaks; a log line does not.
fn plain(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
