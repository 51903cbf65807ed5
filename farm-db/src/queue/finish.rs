use std::collections::HashSet;

use diesel::{
    IntoSql as _, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Binary, Bool, Double, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use farm_api::hub::Finish;
use farm_types::{AttemptNumber, BuilderId, Cause, Digest, LeaseKey, LeaseToken, Stage, TaskId};
use serde::Serialize;

use crate::{DbError, Result, call::call};

/// Ends an attempt with what came of it. Sent again after a lost answer it changes nothing and is no error.
pub fn finish(conn: &mut PgConnection, builder: BuilderId, key: &LeaseKey, end: &Finish) -> Result<()> {
    sql_query(
        "SELECT farm.finish_with_record($1, $2, $3, $4, $5::farm.outcome, $6::farm.cause, $7::farm.stage, $8, $9, $10, $11, $12, $13)",
    )
        .bind::<Integer, _>(builder.0)
        .bind::<BigInt, _>(key.task.0)
        .bind::<Integer, _>(key.attempt.0)
        .bind::<SqlUuid, _>(key.token.0)
        .bind::<Text, _>(end.outcome.as_str())
        .bind::<Nullable<Text>, _>(end.cause.map(Cause::as_str))
        .bind::<Nullable<Text>, _>(end.stage.map(Stage::as_str))
        .bind::<Text, _>(&end.message)
        .bind::<Jsonb, _>(serde_json::to_value(&end.excerpt)?)
        .bind::<Jsonb, _>(serde_json::to_value(&end.stages)?)
        .bind::<Jsonb, _>(serde_json::to_value(&end.artifacts)?)
        .bind::<Jsonb, _>(serde_json::to_value(end.usage)?)
        .bind::<Jsonb, _>(serde_json::to_value(&end.marks)?)
        .execute(conn)?;
    Ok(())
}

/// Ends many attempts, each as [`finish`] does and in one transaction; answers in the same order. What cannot be ended as told, which is
/// rare, is ended by itself and hurts no other. An error is everybody's: the database is away.
pub fn finish_all(conn: &mut PgConnection, ends: &[(BuilderId, LeaseKey, Finish)]) -> Result<Vec<Result<()>>> {
    let ended = match finish_together(conn, ends) {
        Err(error @ DbError::Unavailable(_)) => return Err(error),
        // One of them is refused, and with it all. None has ended.
        Err(_) => HashSet::new(),
        Ok(ended) => ended,
    };
    let alone = |(place, (builder, key, end)): (usize, &(BuilderId, LeaseKey, Finish))| {
        if ended.contains(&place) { Ok(()) } else { finish(conn, *builder, key, end) }
    };
    Ok(ends.iter().enumerate().map(alone).collect())
}

/// Ends those that can be ended as told, and answers which.
fn finish_together(conn: &mut PgConnection, ends: &[(BuilderId, LeaseKey, Finish)]) -> Result<HashSet<usize>> {
    #[derive(Serialize)]
    struct End<'a> {
        place: usize,
        builder: BuilderId,
        task: TaskId,
        attempt: AttemptNumber,
        token: LeaseToken,
        #[serde(flatten)]
        end: &'a Finish,
    }
    #[derive(QueryableByName)]
    struct Ended {
        #[diesel(sql_type = Integer)]
        place: i32,
    }
    let ends: Vec<_> = ends
        .iter()
        .enumerate()
        .map(|(place, (builder, key, end))| End {
            place,
            builder: *builder,
            task: key.task,
            attempt: key.attempt,
            token: key.token,
            end,
        })
        .collect();
    let document = serde_json::to_string(&ends)?;
    let ended: Vec<Ended> =
        call("SELECT place FROM farm.finish_all(", document.into_sql::<Text>(), "::jsonb) AS place").load(conn)?;
    Ok(ended.into_iter().filter_map(|row| usize::try_from(row.place).ok()).collect())
}

/// Gives a task back; the attempt does not count against it.
pub fn release(conn: &mut PgConnection, builder: BuilderId, key: &LeaseKey, message: &str) -> Result<()> {
    sql_query("SELECT farm.release($1, $2, $3, $4, $5)")
        .bind::<Integer, _>(builder.0)
        .bind::<BigInt, _>(key.task.0)
        .bind::<Integer, _>(key.attempt.0)
        .bind::<SqlUuid, _>(key.token.0)
        .bind::<Text, _>(message)
        .execute(conn)?;
    Ok(())
}

/// Takes back what builders hold whose leases ran out that long ago. Answers how many, 500 at most: call it again then.
pub fn reap(conn: &mut PgConnection, grace_seconds: u32) -> Result<i32> {
    #[derive(QueryableByName)]
    struct Reaped {
        #[diesel(sql_type = Integer)]
        reap: i32,
    }
    let row: Reaped = sql_query("SELECT farm.reap(make_interval(secs => $1)) AS reap")
        .bind::<Double, _>(f64::from(grace_seconds))
        .get_result(conn)?;
    Ok(row.reap)
}

/// Records that the store has a blob that was brought under a lease. Call it after the store has it, never before.
pub fn deliver(conn: &mut PgConnection, builder: BuilderId, key: &LeaseKey, digest: &Digest, size: u64) -> Result<()> {
    let size = i64::try_from(size).map_err(|e| DbError::Data(e.to_string()))?;
    sql_query("SELECT farm.deliver($1, $2, $3, $4, $5, $6)")
        .bind::<Integer, _>(builder.0)
        .bind::<BigInt, _>(key.task.0)
        .bind::<Integer, _>(key.attempt.0)
        .bind::<SqlUuid, _>(key.token.0)
        .bind::<Binary, _>(digest.as_bytes().as_slice())
        .bind::<BigInt, _>(size)
        .execute(conn)?;
    Ok(())
}

/// Whether a blob of that size was brought under the lease already. If not, it is announced: call this before the store gets it, so
/// that it is not taken for one that nobody needs.
pub fn has_delivered(
    conn: &mut PgConnection,
    builder: BuilderId,
    key: &LeaseKey,
    digest: &Digest,
    size: u64,
) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Has {
        #[diesel(sql_type = Bool)]
        has: bool,
    }
    let size = i64::try_from(size).map_err(|e| DbError::Data(e.to_string()))?;
    let row: Has = sql_query("SELECT farm.has_delivered($1, $2, $3, $4, $5, $6) AS has")
        .bind::<Integer, _>(builder.0)
        .bind::<BigInt, _>(key.task.0)
        .bind::<Integer, _>(key.attempt.0)
        .bind::<SqlUuid, _>(key.token.0)
        .bind::<Binary, _>(digest.as_bytes().as_slice())
        .bind::<BigInt, _>(size)
        .get_result(conn)?;
    Ok(row.has)
}
