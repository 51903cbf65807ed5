//! What the harness asks the database about, with all rights.

use std::time::{Duration, SystemTime};

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Bool, Double, Integer, Nullable, Text},
};
use farm_types::{AttemptNumber, Cause, Digest, JobId, Outcome, TaskId, TaskState};

/// A task as it ended.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// Its job.
    pub job: JobId,
    /// How it stands.
    pub state: TaskState,
    /// Why.
    pub cause: Option<Cause>,
    /// Why, as a sentence.
    pub message: String,
    /// When it was made.
    pub created: SystemTime,
}

/// An attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Of which task.
    pub task: TaskId,
    /// Its number.
    pub number: AttemptNumber,
    /// Who built.
    pub builder: String,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Whether it was lost and that says nothing about its builder.
    pub is_blameless: bool,
    /// What was said of it.
    pub message: String,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// Its log in one piece, if it is in one.
    pub log: Option<Digest>,
}

impl Attempt {
    /// Whether what came of it is what the farm goes by.
    pub fn is_accepted(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Succeeded | Outcome::Failed))
    }
}

/// A package that the farm keeps, and the attempt that it is said to be of.
#[derive(Debug, Clone)]
pub struct Package {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptNumber,
    /// The bytes.
    pub digest: Digest,
}

#[derive(QueryableByName)]
struct TaskRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    job: i64,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Text>)]
    cause: Option<String>,
    #[diesel(sql_type = Text)]
    message: String,
    #[diesel(sql_type = Double)]
    created: f64,
}

#[derive(QueryableByName)]
struct AttemptRow {
    #[diesel(sql_type = BigInt)]
    task: i64,
    #[diesel(sql_type = Integer)]
    number: i32,
    #[diesel(sql_type = Text)]
    builder: String,
    #[diesel(sql_type = Nullable<Text>)]
    outcome: Option<String>,
    #[diesel(sql_type = Bool)]
    blameless: bool,
    #[diesel(sql_type = Text)]
    message: String,
    #[diesel(sql_type = Double)]
    began: f64,
    #[diesel(sql_type = Nullable<Double>)]
    ended: Option<f64>,
    #[diesel(sql_type = Nullable<Text>)]
    log: Option<String>,
}

#[derive(QueryableByName)]
struct PackageRow {
    #[diesel(sql_type = BigInt)]
    task: i64,
    #[diesel(sql_type = Integer)]
    attempt: i32,
    #[diesel(sql_type = Text)]
    digest: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Text)]
    what: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn time(seconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds.max(0.0))
}

/// All tasks.
pub fn tasks(conn: &mut PgConnection) -> anyhow::Result<Vec<Task>> {
    let query =
        "SELECT id, job_id AS job, state::text AS state, cause::text AS cause, coalesce(message, '') AS message,
        extract(epoch FROM created_at)::float8 AS created FROM farm.task ORDER BY id";
    let rows: Vec<TaskRow> = sql_query(query).load(conn)?;
    let task = |row: TaskRow| {
        Ok(Task {
            id: TaskId(row.id),
            job: JobId(row.job),
            state: row.state.parse()?,
            cause: row.cause.map(|cause| cause.parse()).transpose()?,
            message: row.message,
            created: time(row.created),
        })
    };
    rows.into_iter().map(task).collect()
}

/// All attempts, in the order in which they began.
pub fn attempts(conn: &mut PgConnection) -> anyhow::Result<Vec<Attempt>> {
    let query = "SELECT a.task_id AS task, a.number, b.name::text AS builder, a.outcome::text AS outcome, a.blameless,
        coalesce(a.message, '') AS message, extract(epoch FROM a.started_at)::float8 AS began,
        extract(epoch FROM a.finished_at)::float8 AS ended, encode(a.log_digest, 'hex') AS log
        FROM farm.attempt a JOIN farm.builder b ON b.id = a.builder_id ORDER BY a.started_at";
    let rows: Vec<AttemptRow> = sql_query(query).load(conn)?;
    let attempt = |row: AttemptRow| {
        Ok(Attempt {
            task: TaskId(row.task),
            number: AttemptNumber(row.number),
            builder: row.builder,
            outcome: row.outcome.map(|outcome| outcome.parse()).transpose()?,
            is_blameless: row.blameless,
            message: row.message,
            began: time(row.began),
            ended: row.ended.map(time),
            log: row.log.map(|digest| digest.parse()).transpose()?,
        })
    };
    rows.into_iter().map(attempt).collect()
}

/// All packages that builds brought.
pub fn packages(conn: &mut PgConnection) -> anyhow::Result<Vec<Package>> {
    let query =
        "SELECT task_id AS task, attempt, encode(digest, 'hex') AS digest FROM farm.artifact WHERE kind = 'rpm'";
    let rows: Vec<PackageRow> = sql_query(query).load(conn)?;
    let package = |row: PackageRow| {
        Ok(Package { task: TaskId(row.task), attempt: AttemptNumber(row.attempt), digest: row.digest.parse()? })
    };
    rows.into_iter().map(package).collect()
}

/// Lets a minute pass for attempts whose logs are in pieces: so long the farm waits for more to come.
pub fn let_a_minute_pass(conn: &mut PgConnection) -> anyhow::Result<()> {
    let query = "UPDATE farm.attempt a
        SET started_at = started_at - interval '1 minute', finished_at = finished_at - interval '1 minute'
        WHERE EXISTS (SELECT FROM farm.log_chunk c WHERE c.task_id = a.task_id AND c.attempt = a.number)";
    Ok(sql_query(query).execute(conn).map(drop)?)
}

/// How many pieces of logs there are.
pub fn pieces_of_logs(conn: &mut PgConnection) -> anyhow::Result<i64> {
    Ok(counts(conn, "SELECT '' AS what, count(*) AS count FROM farm.log_chunk")?.iter().map(|(_, count)| count).sum())
}

/// What is under way still, by name: nothing, in a farm that has come to rest.
pub fn under_way(conn: &mut PgConnection) -> anyhow::Result<Vec<(String, i64)>> {
    counts(
        conn,
        "SELECT 'open jobs' AS what, (SELECT count(*) FROM farm.job WHERE open) AS count
         UNION ALL SELECT 'leases', (SELECT count(*) FROM farm.lease)
         UNION ALL SELECT 'repositories to be published', (SELECT count(*) FROM farm.unpublished)",
    )
}

/// Builders that the farm took out of service.
pub fn out_of_service(conn: &mut PgConnection) -> anyhow::Result<Vec<(String, i64)>> {
    counts(conn, "SELECT name::text AS what, id::bigint AS count FROM farm.builder WHERE out_at IS NOT NULL")
}

/// Tasks that it set aside, with why.
pub fn set_aside(conn: &mut PgConnection) -> anyhow::Result<Vec<(String, i64)>> {
    counts(conn, "SELECT message AS what, id AS count FROM farm.task WHERE set_aside_at IS NOT NULL")
}

/// Jobs that have not ended.
pub fn open_jobs(conn: &mut PgConnection) -> anyhow::Result<Vec<JobId>> {
    let rows = counts(conn, "SELECT '' AS what, id AS count FROM farm.job WHERE open ORDER BY id")?;
    Ok(rows.into_iter().map(|(_, id)| JobId(id)).collect())
}

/// What is left behind, by name: nothing, in a farm that has come to rest.
pub fn left_behind(conn: &mut PgConnection) -> anyhow::Result<Vec<(String, i64)>> {
    counts(
        conn,
        "SELECT 'leases' AS what, (SELECT count(*) FROM farm.lease) AS count
         UNION ALL SELECT 'claimable tasks', (SELECT count(*) FROM farm.ready)
         UNION ALL SELECT 'announced files', (SELECT count(*) FROM farm.expected)
         UNION ALL SELECT 'delivered files of nobody', (SELECT count(*) FROM farm.delivered)
         UNION ALL SELECT 'logs in pieces', (SELECT count(*) FROM farm.log_chunk)
         UNION ALL SELECT 'uploads', (SELECT count(*) FROM farm.upload)
         UNION ALL SELECT 'blobs without an owner', (SELECT count(*) FROM farm.blob WHERE NOT farm.has_owner(digest))",
    )
}

/// Connections of the farm: how many there are, and how many of them hold a transaction open.
pub fn connections(conn: &mut PgConnection) -> anyhow::Result<Vec<(String, i64)>> {
    counts(
        conn,
        "SELECT 'connections' AS what, count(*) AS count FROM pg_stat_activity WHERE usename LIKE 'farm\\_%'
         UNION ALL SELECT 'transactions left open', count(*) FROM pg_stat_activity
           WHERE usename LIKE 'farm\\_%' AND state LIKE 'idle in transaction%' AND state_change < now() - interval '10 seconds'",
    )
}

/// The files that there are, with their sizes.
pub fn blobs(conn: &mut PgConnection) -> anyhow::Result<Vec<(Digest, u64)>> {
    let rows = counts(conn, "SELECT encode(digest, 'hex') AS what, size AS count FROM farm.blob")?;
    rows.into_iter().map(|(digest, size)| Ok((digest.parse()?, u64::try_from(size)?))).collect()
}

/// Makes all blobs that nobody needs, and all uploads, look as if that were so for long.
pub fn age(conn: &mut PgConnection) -> anyhow::Result<()> {
    sql_query("UPDATE farm.blob SET unowned_since = unowned_since - interval '3 days'").execute(conn)?;
    sql_query("UPDATE farm.upload SET touched_at = touched_at - interval '3 days'").execute(conn)?;
    Ok(())
}

/// What happened to a job, a line for each thing.
pub fn history(conn: &mut PgConnection, job: JobId) -> anyhow::Result<Vec<String>> {
    let query = "SELECT format('%s %s %s %s %s', to_char(at, 'HH24:MI:SS.MS'), actor, action, object, details) AS what, id AS count
        FROM farm.audit WHERE object = 'job ' || $1::text OR object IN (SELECT 'task ' || id FROM farm.task WHERE job_id = $1) ORDER BY id";
    let rows: Vec<Count> = sql_query(query).bind::<BigInt, _>(job.0).load(conn)?;
    Ok(rows.into_iter().map(|row| row.what).collect())
}

fn counts(conn: &mut PgConnection, query: &str) -> anyhow::Result<Vec<(String, i64)>> {
    let rows: Vec<Count> = sql_query(query).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.what, row.count)).collect())
}
