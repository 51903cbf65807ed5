//! The one door between async programs and the database.
//!
//! Diesel is synchronous because only libpq can log in with Kerberos. A verb runs on a blocking thread with a
//! connection of the pool; a future that is dropped does not stop its statement, so statements have a time limit.

use std::time::Duration;

use deadpool_diesel::{
    ManagerConfig, RecyclingMethod, Timeouts,
    postgres::{Connection as Pooled, Hook, HookError, Manager, Runtime},
};
use diesel::{
    Connection, PgConnection, QueryResult, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    result::{DatabaseErrorKind, Error as Diesel},
    sql_query,
    sql_types::Bool,
};

use crate::{DbError, Result, conninfo};

/// How long a statement may take, and how long a transaction may sit idle. And how soon the server gives up a client whose machine or
/// network vanished without a word: until then it keeps the locks of what that one had begun. No statement takes as long as compiling it
/// would.
const SESSION: &str = "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '5min'; SET timezone = 'UTC'; \
     SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 20000; \
     SET jit = off";
/// How long to wait for a free connection.
const WAIT: Duration = Duration::from_secs(10);
/// How many may wait for each connection: a second's work, or two. Who comes then is sent away and not kept waiting in vain.
const WAITING: usize = 64;
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

/// Opens a single connection, for programs that need just one. The conninfo goes to libpq, with what it [lacks](conninfo::patient).
pub fn connect(conninfo: &str) -> Result<PgConnection> {
    let mut conn = PgConnection::establish(&conninfo::patient(conninfo))?;
    conn.batch_execute(SESSION)?;
    Ok(conn)
}

/// Logs in and goes, to see whether this process is let in and to have a ticket for it. The error is what libpq says.
pub fn log_in(conninfo: &str) -> std::result::Result<(), String> {
    PgConnection::establish(&conninfo::patient(conninfo)).map(drop).map_err(|error| error.to_string())
}

/// Refuses a server that takes no changes: a replica, or one that was demoted while we were connected to it.
fn takes_changes(conn: &mut PgConnection) -> QueryResult<()> {
    #[derive(QueryableByName)]
    struct Server {
        #[diesel(sql_type = Bool)]
        read_only: bool,
    }
    let query = sql_query("SELECT current_setting('transaction_read_only')::bool AS read_only");
    match query.get_result(conn)? {
        Server { read_only: false } => Ok(()),
        Server { read_only: true } => {
            let why = "this server takes no changes: it is a replica, or read-only".to_owned();
            Err(Diesel::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, Box::new(why)))
        }
    }
}

impl Pool {
    /// A pool of at most `size` connections, made when they are needed, of which none is used with which somebody who was shut out
    /// would stay for longer than `max_age_seconds`. The conninfo goes to libpq, with what it [lacks](conninfo::patient).
    ///
    /// No connection is used to a server that takes no changes: after a failover the next one goes to the server that does, if the
    /// conninfo names both.
    pub fn new(conninfo: &str, size: usize, max_age_seconds: u64) -> Result<Self> {
        let max_age = max_age(max_age_seconds);
        let timeouts = Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) };
        // In place of the `SELECT 1` that would be asked of each connection before it is used again.
        let check = |conn: &mut PgConnection| takes_changes(conn).map_err(deadpool_diesel::Error::Ping);
        let config = ManagerConfig { recycling_method: RecyclingMethod::CustomFunction(Box::new(check)) };
        let manager = Manager::from_config(conninfo::patient(conninfo), Runtime::Tokio1, config);
        let inner = deadpool_diesel::postgres::Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .timeouts(timeouts)
            .pre_recycle(Hook::sync_fn(move |_, metrics| {
                if metrics.age() > max_age { Err(HookError::message("old enough")) } else { Ok(()) }
            }))
            .post_create(Hook::async_fn(|conn, _| {
                Box::pin(async move {
                    let set =
                        conn.interact(|conn| takes_changes(conn).and_then(|()| conn.batch_execute(SESSION))).await;
                    set.map_err(|e| HookError::message(e.to_string()))?.map_err(|e| HookError::message(e.to_string()))
                })
            }))
            .build()
            .map_err(|e| DbError::Unavailable(e.to_string()))?;
        Ok(Self { inner })
    }

    /// Runs one verb. [`DbError::Busy`]: too many wait for a connection already.
    pub async fn run<T, F>(&self, verb: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T> + Send + 'static,
    {
        let status = self.inner.status();
        if status.waiting >= WAITING * status.max_size {
            metrics::counter!("farm_database_refused_total").increment(1);
            return Err(DbError::Busy);
        }
        let conn = self.inner.get().await.map_err(|e| DbError::Unavailable(plain(&e.to_string())))?;
        let done = conn.interact(verb).await.map_err(|e| DbError::Unavailable(plain(&e.to_string())))?;
        if let Err(DbError::Unavailable(_)) = done {
            // Cut, or to a server that is not the one any more: nobody else has to find that out.
            drop(Pooled::take(conn));
        }
        done
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
