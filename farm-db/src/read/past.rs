use diesel::{
    PgConnection, sql_query,
    sql_types::{BigInt, Integer, Nullable, Text},
};
use farm_types::{AttemptNumber, BuilderName, Cause, JobId, Outcome, PlatformName, TaskId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Result, Viewer, document::documents};

/// What a builder was at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PastAttempt {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskId,
    /// Which of its attempts.
    pub number: AttemptNumber,
    /// The platform.
    pub platform: PlatformName,
    /// The packages, for people.
    pub title: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub cause: Option<Cause>,
    /// When it began.
    pub started: Timestamp,
    /// And ended.
    pub finished: Timestamp,
}

/// The last attempts of a builder that have ended, the latest first.
pub fn past_attempts(
    conn: &mut PgConnection,
    viewer: Viewer,
    builder: &BuilderName,
    limit: u32,
) -> Result<Vec<PastAttempt>> {
    let query = "SELECT jsonb_build_object('job', t.job_id, 'task', a.task_id, 'number', a.number, 'platform', t.platform,
           'title', CASE WHEN farm.sees($1, t.job_id) THEN j.title ELSE 'not public' END, 'outcome', a.outcome, 'cause', a.cause,
           'started', a.started_at, 'finished', a.finished_at) AS document
         FROM farm.attempt_view a JOIN farm.task t ON t.id = a.task_id JOIN farm.job j ON j.id = t.job_id
         WHERE a.builder = $2 AND a.outcome IS NOT NULL ORDER BY a.started_at DESC LIMIT $3";
    let query = sql_query(query).bind::<Nullable<Integer>, _>(viewer.number());
    documents(conn, query.bind::<Text, _>(builder.as_str()).bind::<BigInt, _>(i64::from(limit)))
}
