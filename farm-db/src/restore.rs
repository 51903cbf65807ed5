//! After the database was set back to an earlier state, or the store to one that lacks something.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Binary, Integer, Nullable, Text},
};
use farm_types::{Digest, JobId, TaskId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Actor, DbError, Result,
    actor::{actor, bind},
    document::{document, documents},
};

/// What a database was made fit with that was set back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Restoration {
    /// Of when the newest thing is that is left.
    pub state_of: Timestamp,
    /// The first number that no job gets any more.
    pub jobs_from: i64,
    /// The number that the next job gets.
    pub jobs_before: i64,
    /// The first number that no task gets any more.
    pub tasks_from: i64,
    /// The number that the next task gets.
    pub tasks_before: i64,
    /// How many leases ended.
    pub leases: i64,
    /// How many sessions and tokens that were given for tickets ended.
    pub logins: i64,
}

/// Makes a database that was set back fit to work, before the first daemon: leases, sessions and logins end, and so many numbers of
/// jobs are left out, since people have seen some of them.
pub fn after_restore(conn: &mut PgConnection, actor: &Actor, skip: i64) -> Result<Restoration> {
    let query = sql_query(concat!("SELECT farm.after_restore(", actor!(), ", $4) AS document"));
    document(conn, bind!(query, actor).bind::<BigInt, _>(skip))?
        .ok_or_else(|| DbError::Data("nothing was said of the restore".to_owned()))
}

/// Why there is nothing of that number, if it is one that was lost.
pub(crate) fn lost_with(conn: &mut PgConnection, kind: &str, number: i64) -> Result<Option<String>> {
    #[derive(QueryableByName)]
    struct Lost {
        #[diesel(sql_type = Nullable<Text>)]
        lost: Option<String>,
    }
    let query = sql_query("SELECT farm.lost_with($1, $2) AS lost").bind::<Text, _>(kind).bind::<BigInt, _>(number);
    Ok(query.get_result::<Lost>(conn)?.lost)
}

/// A blob that the farm says the store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownBlob {
    /// Its name.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}

/// The blobs whose digest begins with that byte.
pub fn known_blobs(conn: &mut PgConnection, first: u8) -> Result<Vec<KnownBlob>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        digest: Vec<u8>,
        #[diesel(sql_type = BigInt)]
        size: i64,
    }
    let (from, to) = ([[first].as_slice(), &[0; 31]].concat(), [[first].as_slice(), &[0xff; 31]].concat());
    let rows: Vec<Row> = sql_query("SELECT digest, size FROM farm.blob WHERE digest >= $1 AND digest <= $2")
        .bind::<Binary, _>(from)
        .bind::<Binary, _>(to)
        .load(conn)?;
    let known = |row: Row| {
        let digest = Digest::try_from(row.digest).map_err(|e| DbError::Data(e.to_string()))?;
        Ok(KnownBlob { digest, size: u64::try_from(row.size).unwrap_or_default() })
    };
    rows.into_iter().map(known).collect()
}

/// Notes which blobs whose digest begins with that byte the store lacks, and how many bytes it has instead. Answers how many the farm
/// still has to do with.
pub fn note_missing(
    conn: &mut PgConnection,
    actor: &Actor,
    first: u8,
    missing: &[(Digest, Option<u64>)],
) -> Result<i32> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = Integer)]
        count: i32,
    }
    let (digests, found): (Vec<_>, Vec<_>) = missing
        .iter()
        .map(|(digest, found)| (digest.as_bytes().as_slice(), found.map(|n| i64::try_from(n).unwrap_or(i64::MAX))))
        .unzip();
    let query = sql_query(concat!("SELECT farm.note_missing(", actor!(), ", $4, $5, $6) AS count"));
    let row: Count = bind!(query, actor)
        .bind::<Integer, _>(i32::from(first))
        .bind::<Array<Binary>, _>(digests)
        .bind::<Array<Nullable<BigInt>>, _>(found)
        .get_result(conn)?;
    Ok(row.count)
}

/// A job of whose files the store lacks some.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobThatMisses {
    /// Which.
    pub job: JobId,
    /// Its title.
    pub title: String,
    /// Whose it is.
    pub person: String,
    /// What it lacks.
    pub files: Vec<MissingFile>,
}

/// A file that the store lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingFile {
    /// Of which task; `None` for a source.
    pub task: Option<TaskId>,
    /// Of which attempt.
    pub attempt: Option<i32>,
    /// Of which platform.
    pub platform: Option<String>,
    /// `source`, or the kind of an artifact.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What can be done.
    pub cure: Cure,
}

/// What can be done about a file that the store lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cure {
    /// Its task can be built again.
    Build,
    /// Whoever has the source can bring it again.
    #[serde(alias = "hand in")]
    HandIn,
    /// Nothing brings it back.
    Forget,
}

/// The next jobs after that one that miss something, so many at the most.
pub fn jobs_that_miss(conn: &mut PgConnection, after: i64, limit: i32) -> Result<Vec<JobThatMisses>> {
    let query = sql_query("SELECT document FROM farm.jobs_that_miss($1, $2) AS document");
    documents(conn, query.bind::<BigInt, _>(after).bind::<Integer, _>(limit))
}

/// What was done about what a job misses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeGood {
    /// Tasks that are built again.
    #[serde(rename(deserialize = "o_built"))]
    pub built: u64,
    /// Files that are known of no more.
    #[serde(rename(deserialize = "o_forgotten"))]
    pub forgotten: u64,
}

/// Mends of a job what can be mended without its submitter.
pub fn make_good(conn: &mut PgConnection, actor: &Actor, job: JobId) -> Result<MadeGood> {
    let query = sql_query(concat!("SELECT to_jsonb(m) AS document FROM farm.make_good(", actor!(), ", $4) m"));
    Ok(document(conn, bind!(query, actor).bind::<BigInt, _>(job.0))?.unwrap_or_default())
}
