use diesel::{
    PgConnection, sql_query,
    sql_types::{BigInt, Integer, Nullable},
};
use farm_api::paths;
use farm_types::{ArtifactId, AttemptNumber, Digest, FileName, JobId, TaskId};
use serde::Deserialize;

use crate::{DbError, Result, Viewer, document::document};

/// Where the record of an attempt is.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordPlace {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptNumber,
    /// Its blob, a [`BuildRecord`](farm_api::record::BuildRecord).
    pub digest: Digest,
    /// The position of the source that was asked for.
    pub source: u32,
    /// `name-[epoch:]version-release` of that source, once known.
    pub nevr: Option<String>,
    artifact: ArtifactId,
    name: FileName,
}

impl RecordPlace {
    /// Where the record is, relative to the server.
    pub fn url(&self) -> String {
        paths::artifact(self.artifact, &self.name)
    }
}

/// A row `t` of `farm.task` with a record `f`, and its source `s`.
const PLACE: &str = "jsonb_build_object('job', t.job_id, 'task', t.id, 'attempt', f.attempt, 'digest', encode(f.digest, 'hex'),
  'source', s.position, 'artifact', f.id, 'name', f.name, 'nevr', s.name || '-' || coalesce(s.epoch || ':', '') || s.version || '-' || s.release)";

/// Finds the record of an attempt, of the latest one that has one when none is named, and a source of its job by position.
pub fn record(
    conn: &mut PgConnection,
    viewer: Viewer,
    task: TaskId,
    attempt: Option<AttemptNumber>,
    source: u32,
) -> Result<RecordPlace> {
    let query = format!(
        "SELECT {PLACE} AS document FROM farm.task t JOIN farm.source s ON s.job_id = t.job_id AND s.position = $3
         JOIN farm.artifact f ON f.task_id = t.id AND f.kind = 'manifest'
         WHERE t.id = $1 AND ($2 IS NULL OR f.attempt = $2) AND farm.sees($4, t.job_id) ORDER BY f.attempt DESC LIMIT 1"
    );
    let query = sql_query(query)
        .bind::<BigInt, _>(task.0)
        .bind::<Nullable<Integer>, _>(attempt.map(|attempt| attempt.0))
        .bind::<Integer, _>(position(source)?)
        .bind::<Nullable<Integer>, _>(viewer.number());
    document(conn, query)?
        .ok_or_else(|| DbError::NotFound(format!("there is no record of task {task} with that source")))
}

/// The record of the last build of the same package on the same platform that succeeded in an earlier job which the viewer sees.
pub fn earlier_record(
    conn: &mut PgConnection,
    viewer: Viewer,
    task: TaskId,
    source: u32,
) -> Result<Option<RecordPlace>> {
    let query = format!(
        "SELECT {PLACE} AS document FROM farm.task mine
         JOIN farm.source own ON own.job_id = mine.job_id AND own.position = $2
         JOIN farm.source s ON s.name = own.name AND s.job_id < mine.job_id
         JOIN farm.task t ON t.job_id = s.job_id AND t.platform = mine.platform AND t.state = 'succeeded'
         JOIN farm.attempt_view a ON a.task_id = t.id AND a.outcome = 'succeeded'
         JOIN farm.artifact f ON f.task_id = t.id AND f.attempt = a.number AND f.kind = 'manifest'
         WHERE mine.id = $1 AND farm.sees($3, mine.job_id) AND farm.sees($3, t.job_id) ORDER BY s.job_id DESC, s.position LIMIT 1"
    );
    let query = sql_query(query)
        .bind::<BigInt, _>(task.0)
        .bind::<Integer, _>(position(source)?)
        .bind::<Nullable<Integer>, _>(viewer.number());
    document(conn, query)
}

fn position(source: u32) -> Result<i32> {
    i32::try_from(source).map_err(|_| DbError::NotFound(format!("no job has {source} sources")))
}
