use diesel::{
    PgConnection, RunQueryDsl, sql_query,
    sql_types::{BigInt, Binary, Integer},
};
use farm_types::{AttemptNumber, Digest, TaskId};
use serde::Deserialize;

use crate::{DbError, Result, document::documents};

/// An attempt that ended and left its log in pieces.
#[derive(Debug, Clone, Deserialize)]
pub struct UnsealedLog {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptNumber,
}

/// Attempts that ended a minute ago or longer and whose log is not a blob yet.
pub fn unsealed_logs(conn: &mut PgConnection, limit: i64) -> Result<Vec<UnsealedLog>> {
    let query = sql_query(
        "SELECT DISTINCT jsonb_build_object('task', a.task_id, 'attempt', a.number) AS document
         FROM farm.log_chunk c JOIN farm.attempt_view a ON a.task_id = c.task_id AND a.number = c.attempt
         WHERE c.start = 0 AND a.outcome IS NOT NULL AND a.finished_at < now() - interval '1 minute' LIMIT $1",
    );
    documents(conn, query.bind::<BigInt, _>(limit))
}

/// Announces the blob that is to hold a whole log. Call it before the store has it, so that the blob is not taken for one that nobody
/// needs.
pub fn expect_log(conn: &mut PgConnection, log: &UnsealedLog, digest: &Digest) -> Result<()> {
    sql_query("SELECT farm.expect_log($1, $2, $3)")
        .bind::<BigInt, _>(log.task.0)
        .bind::<Integer, _>(log.attempt.0)
        .bind::<Binary, _>(digest.as_bytes().as_slice())
        .execute(conn)?;
    Ok(())
}

/// Records the blob that holds a whole log, and drops the pieces.
pub fn seal_log(conn: &mut PgConnection, log: &UnsealedLog, digest: &Digest, size: u64) -> Result<()> {
    sql_query("SELECT farm.seal_log($1, $2, $3, $4)")
        .bind::<BigInt, _>(log.task.0)
        .bind::<Integer, _>(log.attempt.0)
        .bind::<Binary, _>(digest.as_bytes().as_slice())
        .bind::<BigInt, _>(i64::try_from(size).map_err(|e| DbError::Data(e.to_string()))?)
        .execute(conn)?;
    Ok(())
}
