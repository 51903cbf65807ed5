//! What the janitor asks of the database: who does which chore when, and the chores themselves. Those that have to do with leases
//! are in [`queue`](crate::queue), with uploads in [`blobs`](crate::blobs).

use diesel::{
    Connection as _, PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Double, Float, Integer, Nullable, Text, Uuid as SqlUuid},
};
use farm_types::{Digest, JobId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    DbError, Result,
    document::{document, documents},
};

/// How a chore stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChoreState {
    /// Its name.
    pub name: String,
    /// Whether a janitor is at it.
    pub running: bool,
    /// When it was begun last.
    pub began_at: Timestamp,
    /// When it was done last, without a fault.
    pub ended_at: Option<Timestamp>,
    /// How long it took then.
    pub seconds: Option<f64>,
    /// How many things it dealt with then.
    pub done: i64,
    /// How many ever.
    pub total: i64,
    /// How often it could not be done since it was done last.
    pub failures: i32,
    /// Why it could not be done the last time.
    pub error: Option<String>,
    /// What somebody has to look at.
    pub alarms: Vec<String>,
}

/// All chores that were ever done, by name.
pub fn states(conn: &mut PgConnection) -> Result<Vec<ChoreState>> {
    documents(
        conn,
        sql_query(
            "SELECT to_jsonb(c) || jsonb_build_object('running', coalesce(c.held_until > now(), false)) AS document
             FROM farm.chore c ORDER BY name",
        ),
    )
}

/// Whether this janitor shall do a chore now: no other is at it, and it was not begun within the period. If so, it is this janitor's for
/// so long.
pub fn begin(
    conn: &mut PgConnection,
    chore: &str,
    janitor: Uuid,
    period_seconds: f64,
    lease_seconds: f64,
) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Begun {
        #[diesel(sql_type = Bool)]
        begun: bool,
    }
    let row: Begun =
        sql_query("SELECT farm.begin_chore($1, $2, make_interval(secs => $3), make_interval(secs => $4)) AS begun")
            .bind::<Text, _>(chore)
            .bind::<SqlUuid, _>(janitor)
            .bind::<Double, _>(period_seconds)
            .bind::<Double, _>(lease_seconds)
            .get_result(conn)?;
    Ok(row.begun)
}

/// What came of a chore.
#[derive(Debug, Clone, Default)]
pub struct ChoreEnd {
    /// How long it took.
    pub seconds: f32,
    /// How many things it dealt with.
    pub done: u64,
    /// What somebody has to look at.
    pub alarms: Vec<String>,
    /// Why it could not be done.
    pub error: Option<String>,
}

/// Writes down what came of a chore that was begun.
pub fn end(conn: &mut PgConnection, chore: &str, janitor: Uuid, end: &ChoreEnd) -> Result<()> {
    sql_query("SELECT farm.end_chore($1, $2, $3, $4, $5, $6)")
        .bind::<Text, _>(chore)
        .bind::<SqlUuid, _>(janitor)
        .bind::<Float, _>(end.seconds)
        .bind::<BigInt, _>(i64::try_from(end.done).unwrap_or(i64::MAX))
        .bind::<Array<Text>, _>(&end.alarms)
        .bind::<Nullable<Text>, _>(end.error.as_deref())
        .execute(conn)?;
    Ok(())
}

/// Builders that have vanished just now, and those that have come back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Vanished {
    /// Not heard of for too long.
    #[serde(rename = "o_gone")]
    pub gone: Vec<String>,
    /// Heard of again, or not expected any more.
    #[serde(rename = "o_back")]
    pub back: Vec<String>,
}

/// Notes which builders have vanished: enabled, and not heard of for so long.
pub fn note_vanished(conn: &mut PgConnection, silence_seconds: u32) -> Result<Vanished> {
    let query = sql_query("SELECT to_jsonb(v) AS document FROM farm.note_vanished(make_interval(secs => $1)) v");
    Ok(document(conn, query.bind::<Double, _>(f64::from(silence_seconds)))?.unwrap_or_default())
}

/// Takes off the list what registered itself and was not heard of for so long. Answers their names.
pub fn deregister_silent(conn: &mut PgConnection, silence_seconds: u32) -> Result<Vec<String>> {
    let query = sql_query("SELECT to_jsonb(farm.deregister_silent(make_interval(secs => $1))) AS document");
    Ok(document(conn, query.bind::<Double, _>(f64::from(silence_seconds)))?.unwrap_or_default())
}

/// What was done about the months of the audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct AuditMonths {
    /// Months that have a table now.
    #[serde(rename = "o_made")]
    pub made: u32,
    /// Months that were kept long enough.
    #[serde(rename = "o_dropped")]
    pub dropped: u32,
}

/// Makes the tables of this month of the audit and the next ones, and drops those that are kept no longer.
pub fn tend_audit(conn: &mut PgConnection) -> Result<AuditMonths> {
    Ok(document(conn, sql_query("SELECT to_jsonb(t) AS document FROM farm.tend_audit() t"))?.unwrap_or_default())
}

/// What was taken out of use, or is doubtful.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Faults {
    /// Builders that spoil tasks and stay in service, a sentence each.
    #[serde(rename = "o_doubts")]
    pub doubts: Vec<String>,
    /// Builders that the farm took out of service, a sentence each.
    #[serde(rename = "o_out")]
    pub out: Vec<String>,
    /// How many tasks are set aside.
    #[serde(rename = "o_set_aside")]
    pub set_aside: u32,
}

/// Judges builders again that were doubtful, and answers what is out of use.
pub fn judge_doubtful(conn: &mut PgConnection) -> Result<Faults> {
    let query = sql_query("SELECT to_jsonb(f) AS document FROM farm.judge_doubtful() f");
    Ok(document(conn, query)?.unwrap_or_default())
}

/// A job that no validator has decided on.
#[derive(Debug, Clone, Deserialize)]
pub struct Undecided {
    /// Which.
    pub job: JobId,
    /// How long ago it was handed in, in seconds.
    pub seconds: i64,
    /// How often a fault of the farm kept a validator from deciding.
    pub tries: i32,
}

/// Jobs that have waited so long for a decision though it is their time: the oldest hundred.
pub fn undecided(conn: &mut PgConnection, age_seconds: u32) -> Result<Vec<Undecided>> {
    let query = sql_query("SELECT document FROM farm.undecided_jobs(make_interval(secs => $1)) AS document");
    documents(conn, query.bind::<Double, _>(f64::from(age_seconds)))
}

/// Forgets who brought which file, where nobody asked for it for so long. Answers how many, 1000 at most: call it again then.
pub fn forget_files(conn: &mut PgConnection, idle_seconds: f64) -> Result<i32> {
    count(conn, "SELECT farm.forget_files(make_interval(secs => $1)) AS count", idle_seconds)
}

/// Counts what tasks took of persons who hand in nothing now. Answers for how many shares, so many at most: call it again then.
pub fn settle_up(conn: &mut PgConnection, limit: u32) -> Result<i32> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = Integer)]
        count: i32,
    }
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let row: Count = sql_query("SELECT farm.settle_up($1) AS count").bind::<Integer, _>(limit).get_result(conn)?;
    Ok(row.count)
}

/// Ends the attempts that are over their time for longer than the grace, though their builders renew. Answers how many, 500 at
/// most: call it again then.
pub fn reap_overdue(conn: &mut PgConnection, grace_seconds: u32) -> Result<i32> {
    count(conn, "SELECT farm.reap_overdue(make_interval(secs => $1)) AS count", f64::from(grace_seconds))
}

fn count(conn: &mut PgConnection, query: &str, seconds: f64) -> Result<i32> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = Integer)]
        count: i32,
    }
    let row: Count = sql_query(query).bind::<Double, _>(seconds).get_result(conn)?;
    Ok(row.count)
}

/// A job whose files its bucket keeps no longer.
#[derive(Debug, Clone, Deserialize)]
pub struct FilesDue {
    /// Which.
    pub job: JobId,
    /// How many bytes they have.
    pub bytes: i64,
    /// Why they are to go, as a sentence.
    pub why: String,
}

/// The jobs whose files are to go.
pub fn files_due(conn: &mut PgConnection) -> Result<Vec<FilesDue>> {
    documents(conn, sql_query("SELECT document FROM farm.all_files_due() AS document"))
}

/// Jobs whose files were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Expired {
    /// How many.
    #[serde(rename = "o_jobs")]
    pub jobs: u64,
    /// How many bytes the files had.
    #[serde(rename = "o_bytes")]
    pub bytes: u64,
}

/// Removes the files of jobs that their buckets keep no longer, of so many jobs at the most.
pub fn expire_files(conn: &mut PgConnection, limit: i32) -> Result<Expired> {
    let query = sql_query("SELECT to_jsonb(x) AS document FROM farm.expire_files($1) x");
    Ok(document(conn, query.bind::<Integer, _>(limit))?.unwrap_or_default())
}

/// Marks the blobs that nobody needs, of those whose digest begins with that byte.
pub fn mark_blobs(conn: &mut PgConnection, first: u8) -> Result<()> {
    sql_query("SELECT farm.mark_blobs($1)").bind::<Integer, _>(i32::from(first)).execute(conn)?;
    Ok(())
}

/// How much nobody needs.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Unowned {
    /// Marked blobs.
    pub blobs: i64,
    /// How many bytes they have.
    pub bytes: i64,
    /// Those that have been marked for the grace.
    pub due: i64,
    /// How many bytes those have.
    pub due_bytes: i64,
}

/// How many blobs are marked, and how many of them for longer than the grace.
pub fn unowned(conn: &mut PgConnection, grace_seconds: u32) -> Result<Unowned> {
    let query = sql_query("SELECT farm.unowned_blobs(make_interval(secs => $1)) AS document");
    Ok(document(conn, query.bind::<Double, _>(f64::from(grace_seconds)))?.unwrap_or_default())
}

/// Blobs whose rows were taken away and whose bytes were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many.
    pub blobs: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

/// Why blobs could not be taken away.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The database did not let them go.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The store did not.
    #[error("the bytes of blobs that nobody needs could not be removed: {0}; they stay for the next time")]
    Store(String),
}

impl From<diesel::result::Error> for SweepError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Binary)]
    digest: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    size: i64,
}

/// Takes away blobs that have been marked for the grace and that nobody needs or is just bringing, of those whose digest begins with
/// that byte, so many at the most. `remove` removes their bytes while the locks are held that keep others from bringing them; when it
/// fails, the rows stay.
pub fn sweep_blobs(
    conn: &mut PgConnection,
    first: u8,
    grace_seconds: u32,
    limit: i32,
    remove: impl FnOnce(&[Digest]) -> std::result::Result<(), String>,
) -> std::result::Result<Swept, SweepError> {
    conn.transaction(|conn| {
        let rows: Vec<Row> = sql_query(
            "SELECT o_digest AS digest, o_size AS size FROM farm.sweep_blobs($1, make_interval(secs => $2), $3)",
        )
        .bind::<Integer, _>(i32::from(first))
        .bind::<Double, _>(f64::from(grace_seconds))
        .bind::<Integer, _>(limit)
        .load(conn)?;
        removed(rows, remove)
    })
}

/// The same for blobs that the store has and the farm knows nothing about.
pub fn sweep_strangers(
    conn: &mut PgConnection,
    found: &[(Digest, u64)],
    remove: impl FnOnce(&[Digest]) -> std::result::Result<(), String>,
) -> std::result::Result<Swept, SweepError> {
    let (digests, sizes): (Vec<_>, Vec<_>) = found
        .iter()
        .map(|(digest, size)| (digest.as_bytes().as_slice(), i64::try_from(*size).unwrap_or(i64::MAX)))
        .unzip();
    conn.transaction(|conn| {
        let rows: Vec<Row> = sql_query(
            "SELECT s AS digest, f.size FROM farm.sweep_strangers($1) AS s JOIN unnest($1, $2) AS f(digest, size) ON f.digest = s",
        )
        .bind::<Array<Binary>, _>(digests)
        .bind::<Array<BigInt>, _>(sizes)
        .load(conn)?;
        removed(rows, remove)
    })
}

fn removed(
    rows: Vec<Row>,
    remove: impl FnOnce(&[Digest]) -> std::result::Result<(), String>,
) -> std::result::Result<Swept, SweepError> {
    let bytes = rows.iter().map(|row| u64::try_from(row.size).unwrap_or_default()).sum();
    let digests = rows
        .into_iter()
        .map(|row| Digest::try_from(row.digest).map_err(|e| DbError::Data(format!("{e}"))))
        .collect::<Result<Vec<_>>>()?;
    if !digests.is_empty() {
        remove(&digests).map_err(SweepError::Store)?;
    }
    Ok(Swept { blobs: digests.len() as u64, bytes })
}
