//! How the database itself is: what keeps it from clearing up, what has grown, how much waits.

use diesel::{PgConnection, sql_query};
use serde::{Deserialize, Serialize};

use crate::{DbError, Result, document::document};

/// A snapshot that is older keeps dead rows of the queue from being cleared away, so that every claim has to pass over them.
const OLD_SNAPSHOT_SECONDS: i64 = 120;
/// So many dead rows of a hot table are slow to pass over, if they are also ten times as many as the living.
const MANY_DEAD_ROWS: i64 = 50_000;
/// PostgreSQL stops when none is left. It warns at 40 million, and its own vacuum should never let it come below 1.9 billion.
const FEW_TRANSACTIONS: i64 = 500_000_000;
/// What a replica that is away makes the database keep.
const MUCH_KEPT_BYTES: i64 = 10 << 30;

/// How the database is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DatabaseHealth {
    /// The oldest transactions with a snapshot.
    pub snapshots: Vec<Snapshot>,
    /// Replication slots.
    pub slots: Vec<Slot>,
    /// How many transactions are left until old rows have to be frozen.
    pub transactions_left: i64,
    /// The hot tables.
    pub tables: Vec<Table>,
    /// Indexes that a failed `CREATE INDEX CONCURRENTLY` left: written, and never read.
    pub invalid_indexes: Vec<String>,
    /// Large indexes that were not read since statistics are kept. Says something only after weeks.
    pub unused_indexes: Vec<String>,
    /// How much waits.
    pub queue: QueueDepth,
}

/// A transaction with a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// Whose.
    pub who: String,
    /// How old it is.
    pub seconds: i64,
}

/// A replication slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Whether its replica is there.
    pub active: bool,
    /// How many transactions its snapshot is old.
    pub transactions: Option<i64>,
    /// How much of the log is kept for it.
    pub kept_bytes: Option<i64>,
}

/// A table that changes all the time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Rows, as PostgreSQL estimates.
    pub live: i64,
    /// Rows that are there for no one but old snapshots.
    pub dead: i64,
    /// With its indexes.
    pub bytes: i64,
}

/// How much waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueueDepth {
    /// Tasks that can be claimed.
    pub ready: i64,
    /// Tasks in the hands of builders.
    pub leased: i64,
    /// Jobs that are not decided on.
    pub submitted: i64,
    /// For how long the oldest task could have been claimed, in seconds.
    pub oldest_ready: Option<i64>,
}

/// Looks.
pub fn look(conn: &mut PgConnection) -> Result<DatabaseHealth> {
    document(conn, sql_query("SELECT farm.database_health() AS document"))?
        .ok_or_else(|| DbError::Data("the database does not say how it is".to_owned()))
}

impl DatabaseHealth {
    /// What somebody has to look at, and what to do.
    pub fn alarms(&self) -> Vec<String> {
        let old = self.snapshots.iter().filter(|snapshot| snapshot.seconds > OLD_SNAPSHOT_SECONDS).map(|snapshot| {
            format!(
                "a transaction is open for {} seconds and keeps dead rows of the queue from being cleared away: {}; end it",
                snapshot.seconds, snapshot.who
            )
        });
        let slots = self.slots.iter().filter(|slot| !slot.active).filter_map(|slot| {
            let kept = slot.kept_bytes.filter(|kept| *kept > MUCH_KEPT_BYTES)?;
            let name = &slot.name;
            Some(format!("{kept} bytes of log are kept for the replica of slot {name}, which is away; drop the slot or bring it back"))
        });
        let dead = self.tables.iter().filter(|table| table.dead > MANY_DEAD_ROWS && table.dead / 10 > table.live);
        let dead = dead.map(|table| {
            let Table { name, live, dead, .. } = table;
            format!("table {name} has {dead} dead rows and {live} living ones: vacuum does not follow; look for old transactions")
        });
        let few = (self.transactions_left < FEW_TRANSACTIONS).then(|| {
            let left = self.transactions_left;
            format!("{left} transactions are left until the database stops: let vacuum freeze, VACUUM (FREEZE) helps")
        });
        let invalid = self.invalid_indexes.iter().map(|name| format!("index {name} is not valid: REINDEX or drop it"));
        old.chain(slots).chain(dead).chain(few).chain(invalid).collect()
    }
}
