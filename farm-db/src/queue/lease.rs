use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Binary, Double, Integer, Text, Uuid as SqlUuid},
};
use farm_api::hub::{Gone, Renew};
use farm_types::{BuilderId, Digest, LeaseKey, Outcome, Stage};
use serde::Deserialize;
use uuid::Uuid;

use crate::{DbError, Result, document::document};

/// Renews all leases of a builder and answers those that are gone.
pub fn renew(conn: &mut PgConnection, builder: BuilderId, renew: &Renew, lease_seconds: u32) -> Result<Vec<Gone>> {
    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = BigInt)]
        renew: i64,
    }
    let tasks: Vec<i64> = renew.leases.iter().map(|key| key.task.0).collect();
    let attempts: Vec<i32> = renew.leases.iter().map(|key| key.attempt.0).collect();
    let tokens: Vec<Uuid> = renew.leases.iter().map(|key| key.token.0).collect();
    let kept: Vec<Kept> =
        sql_query("SELECT renew FROM farm.renew($1, $2, $3, $4, $5, make_interval(secs => $6)) AS renew")
            .bind::<Integer, _>(builder.0)
            .bind::<SqlUuid, _>(renew.instance)
            .bind::<Array<BigInt>, _>(tasks)
            .bind::<Array<Integer>, _>(attempts)
            .bind::<Array<SqlUuid>, _>(tokens)
            .bind::<Double, _>(f64::from(lease_seconds))
            .load(conn)?;
    let lost: Vec<LeaseKey> =
        renew.leases.iter().filter(|key| !kept.iter().any(|row| row.renew == key.task.0)).copied().collect();
    how_they_ended(conn, &lost)
}

/// Which of these leases are gone, without renewing any.
pub fn gone(conn: &mut PgConnection, builder: BuilderId, leases: &[LeaseKey]) -> Result<Vec<Gone>> {
    #[derive(QueryableByName)]
    struct Held {
        #[diesel(sql_type = BigInt)]
        task_id: i64,
        #[diesel(sql_type = SqlUuid)]
        token: Uuid,
    }
    let tasks: Vec<i64> = leases.iter().map(|key| key.task.0).collect();
    let held: Vec<Held> =
        sql_query("SELECT task_id, token FROM farm.lease WHERE builder_id = $1 AND task_id = ANY ($2)")
            .bind::<Integer, _>(builder.0)
            .bind::<Array<BigInt>, _>(tasks)
            .load(conn)?;
    let lost: Vec<LeaseKey> = leases
        .iter()
        .filter(|key| !held.iter().any(|row| row.task_id == key.task.0 && row.token == key.token.0))
        .copied()
        .collect();
    how_they_ended(conn, &lost)
}

/// `cancelled` where somebody withdrew the task; everything else, an unknown attempt too, is `lost`.
fn how_they_ended(conn: &mut PgConnection, lost: &[LeaseKey]) -> Result<Vec<Gone>> {
    #[derive(QueryableByName)]
    struct Ended {
        #[diesel(sql_type = BigInt)]
        task_id: i64,
        #[diesel(sql_type = Integer)]
        number: i32,
    }
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let tasks: Vec<i64> = lost.iter().map(|key| key.task.0).collect();
    let cancelled: Vec<Ended> =
        sql_query("SELECT task_id, number FROM farm.attempt WHERE task_id = ANY ($1) AND outcome = 'cancelled'")
            .bind::<Array<BigInt>, _>(tasks)
            .load(conn)?;
    Ok(lost
        .iter()
        .map(|key| {
            let withdrawn = cancelled.iter().any(|row| row.task_id == key.task.0 && row.number == key.attempt.0);
            let outcome = if withdrawn { Outcome::Cancelled } else { Outcome::Lost };
            Gone { task: key.task, attempt: key.attempt, outcome }
        })
        .collect())
}

/// The attempt has come to its next stage.
pub fn stage_began(conn: &mut PgConnection, builder: BuilderId, key: &LeaseKey, stage: Stage) -> Result<()> {
    sql_query("SELECT farm.stage_began($1, $2, $3, $4, $5::farm.stage)")
        .bind::<Integer, _>(builder.0)
        .bind::<BigInt, _>(key.task.0)
        .bind::<Integer, _>(key.attempt.0)
        .bind::<SqlUuid, _>(key.token.0)
        .bind::<Text, _>(stage.as_str())
        .execute(conn)?;
    Ok(())
}

/// Takes a piece of log, gzip compressed, that is `length` bytes long when unpacked and begins at offset `start` of the
/// log. Answers where the next piece has to begin; a piece that does not fit changes nothing.
pub fn append_log(
    conn: &mut PgConnection,
    builder: BuilderId,
    key: &LeaseKey,
    start: u64,
    length: u32,
    gzip: &[u8],
) -> Result<u64> {
    #[derive(QueryableByName)]
    struct Next {
        #[diesel(sql_type = BigInt)]
        next: i64,
    }
    let offset = i64::try_from(start).map_err(|e| DbError::Data(e.to_string()))?;
    let length = i32::try_from(length).map_err(|e| DbError::Data(e.to_string()))?;
    let row: Next = sql_query("SELECT farm.append_log($1, $2, $3, $4, $5, $6, $7) AS next")
        .bind::<Integer, _>(builder.0)
        .bind::<BigInt, _>(key.task.0)
        .bind::<Integer, _>(key.attempt.0)
        .bind::<SqlUuid, _>(key.token.0)
        .bind::<BigInt, _>(offset)
        .bind::<Integer, _>(length)
        .bind::<Binary, _>(gzip)
        .get_result(conn)?;
    u64::try_from(row.next).map_err(|e| DbError::Data(e.to_string()))
}

/// A source of a task that the builder holds: its digest and size.
pub fn source(conn: &mut PgConnection, builder: BuilderId, key: &LeaseKey, position: u32) -> Result<(Digest, u64)> {
    #[derive(Deserialize)]
    struct Source {
        digest: Digest,
        size: u64,
    }
    held(conn, builder, key)?;
    let query = sql_query(
        "SELECT jsonb_build_object('digest', encode(s.digest, 'hex'), 'size', b.size) AS document
         FROM farm.task t JOIN farm.source s ON s.job_id = t.job_id
         JOIN farm.blob b ON b.digest = s.digest WHERE t.id = $1 AND s.position = $2",
    )
    .bind::<BigInt, _>(key.task.0)
    .bind::<Integer, _>(i32::try_from(position).unwrap_or(i32::MAX));
    let found: Option<Source> = document(conn, query)?;
    found
        .map(|source| (source.digest, source.size))
        .ok_or_else(|| DbError::NotFound(format!("task {} has no source {position}", key.task)))
}

/// Whether the lease is live, for calls that write nothing.
pub fn held(conn: &mut PgConnection, builder: BuilderId, key: &LeaseKey) -> Result<()> {
    let found =
        sql_query("SELECT 1 FROM farm.lease WHERE task_id = $1 AND attempt = $2 AND token = $3 AND builder_id = $4")
            .bind::<BigInt, _>(key.task.0)
            .bind::<Integer, _>(key.attempt.0)
            .bind::<SqlUuid, _>(key.token.0)
            .bind::<Integer, _>(builder.0)
            .execute(conn)?;
    if found == 1 {
        Ok(())
    } else {
        Err(DbError::LeaseLost(format!("attempt {} of task {} is not yours any more", key.attempt, key.task)))
    }
}
