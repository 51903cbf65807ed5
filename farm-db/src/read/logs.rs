use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Binary, Integer, Nullable},
};
use farm_types::{AttemptNumber, Digest, TaskId};
use serde::Deserialize;

use crate::{DbError, Result, Viewer, document::document};

/// Where the log of an attempt is.
#[derive(Debug, Clone, Deserialize)]
pub struct LogPlace {
    /// Which attempt.
    pub number: AttemptNumber,
    /// Whether the attempt has ended: nothing more will come.
    pub ended: bool,
    /// Bytes of log so far, unpacked.
    pub size: u64,
    /// The blob that holds it whole, gzip compressed; while there is none it is in chunks.
    pub blob: Option<Digest>,
}

/// Finds the log of an attempt, of the latest one when none is named. `None`: no attempt has begun, or there is no such task to
/// be seen.
pub fn log_place(
    conn: &mut PgConnection,
    viewer: Viewer,
    task: TaskId,
    attempt: Option<AttemptNumber>,
) -> Result<Option<LogPlace>> {
    let query = sql_query(
        "SELECT jsonb_build_object('number', number, 'ended', outcome IS NOT NULL, 'size', log_size,
           'blob', encode(log_digest, 'hex')) AS document FROM farm.attempt_view
         WHERE task_id = $1 AND ($2 IS NULL OR number = $2)
           AND farm.sees($3, (SELECT t.job_id FROM farm.task t WHERE t.id = $1)) ORDER BY number DESC LIMIT 1",
    )
    .bind::<BigInt, _>(task.0)
    .bind::<Nullable<Integer>, _>(attempt.map(|a| a.0))
    .bind::<Nullable<Integer>, _>(viewer.number());
    match (document(conn, query)?, attempt) {
        (None, Some(attempt)) => Err(DbError::NotFound(format!("task {task} has no attempt {attempt}"))),
        (place, _) => Ok(place),
    }
}

/// A piece of a log.
#[derive(Debug, Clone, QueryableByName)]
pub struct LogChunk {
    /// Offset of its first byte in the log.
    #[diesel(sql_type = BigInt)]
    pub start: i64,
    /// How many bytes it is, unpacked.
    #[diesel(sql_type = Integer)]
    pub length: i32,
    /// The bytes, gzip compressed.
    #[diesel(sql_type = Binary)]
    pub data: Vec<u8>,
}

impl LogChunk {
    /// Offset of the first byte after it.
    pub fn end(&self) -> u64 {
        u64::try_from(self.start + i64::from(self.length)).unwrap_or(0)
    }
}

/// Pieces of a log in order, from the one that holds byte `start` on, 64 at most.
pub fn log_chunks(conn: &mut PgConnection, task: TaskId, attempt: AttemptNumber, start: u64) -> Result<Vec<LogChunk>> {
    let start = i64::try_from(start).map_err(|e| DbError::Data(e.to_string()))?;
    Ok(sql_query(
        "SELECT start, length, data FROM farm.log_chunk WHERE task_id = $1 AND attempt = $2 AND start + length > $3
         ORDER BY start LIMIT 64",
    )
    .bind::<BigInt, _>(task.0)
    .bind::<Integer, _>(attempt.0)
    .bind::<BigInt, _>(start)
    .load(conn)?)
}
