use std::collections::HashSet;

use diesel::{
    IntoSql as _, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, Text, Uuid as SqlUuid},
};
use farm_api::hub::{Gone, Renew};
use farm_types::{AttemptNumber, BucketName, BuilderId, Digest, LeaseKey, Outcome, PlatformName, Stage, TaskId};
use serde::Deserialize;
use uuid::Uuid;

use crate::{DbError, Result, call::call, document::document};

/// Renews all leases of a builder and answers those that are gone.
pub fn renew(conn: &mut PgConnection, builder: BuilderId, renew: &Renew, lease_seconds: u32) -> Result<Vec<Gone>> {
    Ok(renew_each(conn, &[(builder, renew)], lease_seconds)?.pop().unwrap_or_default())
}

/// Renews the leases of many builders in one statement. Answers for each, in the same order, those that are gone.
pub fn renew_all(
    conn: &mut PgConnection,
    renewals: &[(BuilderId, Renew)],
    lease_seconds: u32,
) -> Result<Vec<Vec<Gone>>> {
    let renewals: Vec<_> = renewals.iter().map(|(builder, renew)| (*builder, renew)).collect();
    renew_each(conn, &renewals, lease_seconds)
}

fn renew_each(conn: &mut PgConnection, renewals: &[(BuilderId, &Renew)], lease_seconds: u32) -> Result<Vec<Vec<Gone>>> {
    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = Integer)]
        place: i32,
    }
    // A row for each lease, counted from 1; and one without a lease for each builder, which is there.
    let rows: Vec<(BuilderId, Uuid, Option<&LeaseKey>)> = renewals
        .iter()
        .flat_map(|(builder, renew)| {
            let leases = renew.leases.iter().map(Some).chain([None]);
            leases.map(|key| (*builder, renew.instance, key))
        })
        .collect();
    let arguments = (
        rows.iter().map(|(builder, ..)| builder.0).collect::<Vec<_>>().into_sql::<Array<Integer>>(),
        rows.iter().map(|(_, instance, _)| *instance).collect::<Vec<_>>().into_sql::<Array<SqlUuid>>(),
        rows.iter()
            .map(|(.., key)| key.map(|key| key.task.0))
            .collect::<Vec<_>>()
            .into_sql::<Array<Nullable<BigInt>>>(),
        rows.iter()
            .map(|(.., key)| key.map(|key| key.attempt.0))
            .collect::<Vec<_>>()
            .into_sql::<Array<Nullable<Integer>>>(),
        rows.iter()
            .map(|(.., key)| key.map(|key| key.token.0))
            .collect::<Vec<_>>()
            .into_sql::<Array<Nullable<SqlUuid>>>(),
        f64::from(lease_seconds).into_sql::<Double>(),
    );
    let kept: Vec<Kept> =
        call("SELECT place FROM farm.renew_all(", arguments, " * interval '1 second') AS place").load(conn)?;
    let kept: HashSet<usize> = kept.into_iter().filter_map(|row| usize::try_from(row.place).ok()).collect();
    let (mut places, mut answers) = (1.., Vec::with_capacity(renewals.len()));
    for (builder, renew) in renewals {
        let of_builder = renew.leases.iter().zip(&mut places);
        let lost: Vec<LeaseKey> = of_builder.filter(|(_, place)| !kept.contains(place)).map(|(key, _)| *key).collect();
        // The builder has one of its own behind them.
        places.next();
        answers.push(if lost.is_empty() { Vec::new() } else { how_lost(conn, *builder, &lost)? });
    }
    Ok(answers)
}

/// How leases came to an end that could not be renewed. Not renewed is lost, whatever the lease's row says: this life of the builder is over.
fn how_lost(conn: &mut PgConnection, builder: BuilderId, lost: &[LeaseKey]) -> Result<Vec<Gone>> {
    let ended = gone(conn, builder, lost)?;
    let how = |key: &LeaseKey| ended.iter().find(|gone| gone.task == key.task && gone.attempt == key.attempt);
    let lost_to = |key: &LeaseKey| Gone { task: key.task, attempt: key.attempt, outcome: Outcome::Lost };
    Ok(lost.iter().map(|key| how(key).cloned().unwrap_or_else(|| lost_to(key))).collect())
}

/// Which of these leases are gone, and how, without renewing any.
pub fn gone(conn: &mut PgConnection, builder: BuilderId, leases: &[LeaseKey]) -> Result<Vec<Gone>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        task_id: i64,
        #[diesel(sql_type = Integer)]
        attempt: i32,
        #[diesel(sql_type = Text)]
        outcome: String,
    }
    let (tasks, attempts, tokens) = columns(leases);
    let rows: Vec<Row> = sql_query("SELECT task_id, attempt, outcome::text AS outcome FROM farm.gone($1, $2, $3, $4)")
        .bind::<Integer, _>(builder.0)
        .bind::<Array<BigInt>, _>(tasks)
        .bind::<Array<Integer>, _>(attempts)
        .bind::<Array<SqlUuid>, _>(tokens)
        .load(conn)?;
    rows.into_iter()
        .map(|row| {
            let outcome = row.outcome.parse().map_err(|e| DbError::Data(format!("{e}")))?;
            Ok(Gone { task: TaskId(row.task_id), attempt: AttemptNumber(row.attempt), outcome })
        })
        .collect()
}

/// Leases as PostgreSQL takes them.
fn columns(leases: &[LeaseKey]) -> (Vec<i64>, Vec<i32>, Vec<Uuid>) {
    let tasks = leases.iter().map(|key| key.task.0).collect();
    let attempts = leases.iter().map(|key| key.attempt.0).collect();
    (tasks, attempts, leases.iter().map(|key| key.token.0).collect())
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
    let query =
        sql_query("SELECT document FROM farm.leased_source($1, $2, $3, $4, $5) AS document WHERE document IS NOT NULL")
            .bind::<Integer, _>(builder.0)
            .bind::<BigInt, _>(key.task.0)
            .bind::<Integer, _>(key.attempt.0)
            .bind::<SqlUuid, _>(key.token.0)
            .bind::<Integer, _>(i32::try_from(position).unwrap_or(i32::MAX));
    let found: Option<Source> = document(conn, query)?;
    found
        .map(|source| (source.digest, source.size))
        .ok_or_else(|| DbError::NotFound(format!("task {} has no source {position}", key.task)))
}

/// The record that a task which the builder holds is to be built like: its digest.
pub fn like(conn: &mut PgConnection, builder: BuilderId, key: &LeaseKey) -> Result<Digest> {
    #[derive(Deserialize)]
    struct Like {
        /// Once the record has gone there is none.
        digest: Option<Digest>,
    }
    let query =
        sql_query("SELECT document FROM farm.leased_like($1, $2, $3, $4) AS document WHERE document IS NOT NULL")
            .bind::<Integer, _>(builder.0)
            .bind::<BigInt, _>(key.task.0)
            .bind::<Integer, _>(key.attempt.0)
            .bind::<SqlUuid, _>(key.token.0);
    let found: Option<Like> = document(conn, query)?;
    found
        .and_then(|like| like.digest)
        .ok_or_else(|| DbError::NotFound(format!("task {} is built like no other", key.task)))
}

/// Refuses a package that no job before that of the task has made on its platform.
pub fn package(conn: &mut PgConnection, builder: BuilderId, key: &LeaseKey, digest: &Digest) -> Result<()> {
    #[derive(QueryableByName)]
    struct May {
        #[diesel(sql_type = Bool)]
        may: bool,
    }
    let row: May = sql_query("SELECT farm.leased_package($1, $2, $3, $4, $5) AS may")
        .bind::<Integer, _>(builder.0)
        .bind::<BigInt, _>(key.task.0)
        .bind::<Integer, _>(key.attempt.0)
        .bind::<SqlUuid, _>(key.token.0)
        .bind::<Binary, _>(digest.as_bytes().as_slice())
        .get_result(conn)?;
    if row.may {
        return Ok(());
    }
    Err(DbError::NotFound(format!("no job before that of task {} made the package {digest}", key.task)))
}

/// A bucket's repository that a builder may read for a task that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LeasedBucket {
    /// The platform that the task is for.
    pub platform: PlatformName,
    /// Whether something that was built before the attempt began is still to be published.
    pub behind: bool,
}

/// Whether a builder may read a bucket's repository for a task that it holds.
pub fn bucket(
    conn: &mut PgConnection,
    builder: BuilderId,
    key: &LeaseKey,
    bucket: &BucketName,
) -> Result<LeasedBucket> {
    let query =
        sql_query("SELECT document FROM farm.leased_bucket($1, $2, $3, $4, $5) AS document WHERE document IS NOT NULL")
            .bind::<Integer, _>(builder.0)
            .bind::<BigInt, _>(key.task.0)
            .bind::<Integer, _>(key.attempt.0)
            .bind::<SqlUuid, _>(key.token.0)
            .bind::<Text, _>(bucket.as_str());
    let missing =
        || format!("the builds of task {} may not install from the bucket “{bucket}”, or not any more", key.task);
    document(conn, query)?.ok_or_else(|| DbError::Forbidden(missing()))
}

/// Whether the lease is live, for calls that write nothing.
pub fn held(conn: &mut PgConnection, builder: BuilderId, key: &LeaseKey) -> Result<()> {
    sql_query("SELECT farm.prove($1, $2, $3, $4)")
        .bind::<Integer, _>(builder.0)
        .bind::<BigInt, _>(key.task.0)
        .bind::<Integer, _>(key.attempt.0)
        .bind::<SqlUuid, _>(key.token.0)
        .execute(conn)?;
    Ok(())
}
