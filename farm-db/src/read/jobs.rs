use std::collections::HashMap;

use diesel::{
    PgConnection, sql_query,
    sql_types::{Array, BigInt, Integer, Nullable, Text},
};
use farm_api::people::{Job, JobFilter, JobPage};
use farm_types::{JobId, PlatformName, Progress};

use super::{
    tasks::{TASK, complete_urls, nothing},
    why::expect,
};
use crate::{
    Result, Viewer,
    document::{document, documents},
};

/// A row `j` of `farm.job_view` as a job; `$TASK` stands for the document of a task.
const JOB: &str = "jsonb_build_object(
  'id', j.id, 'key', j.key, 'person', j.person, 'title', j.title, 'bucket', j.bucket, 'class', j.class,
  'targets', j.targets, 'after', j.after_job, 'progress', j.progress, 'succeeded', j.succeeded, 'total', j.total,
  'reasons', j.reasons, 'warnings', j.warnings, 'submitted', j.submitted_at, 'finished', j.finished_at,
  'url', '/jobs/' || j.id,
  'like', (SELECT jsonb_build_object('task', b.like_task, 'attempt', b.like_attempt) FROM farm.job b
    WHERE b.id = j.id AND b.like_task IS NOT NULL),
  'options', (SELECT o.options FROM farm.job o WHERE o.id = j.id),
  'sources', (SELECT coalesce(jsonb_agg(jsonb_build_object('position', s.position, 'file_name', s.file_name,
      'digest', encode(s.digest, 'hex'), 'size', coalesce(b.size, s.gone_size),
      'nevr', s.name || '-' || coalesce(s.epoch || ':', '') || s.version || '-' || s.release) ORDER BY s.position), '[]')
    FROM farm.source s LEFT JOIN farm.blob b ON b.digest = s.blob WHERE s.job_id = j.id),
  'gone', farm.gone_files(j.id),
  'tasks', (SELECT coalesce(jsonb_agg($TASK ORDER BY t.platform), '[]') FROM farm.task_view t WHERE t.job_id = j.id))";

fn job_document(task: &str) -> String {
    JOB.replace("$TASK", task)
}

/// A job with everything about it.
pub fn job(conn: &mut PgConnection, viewer: Viewer, id: JobId) -> Result<Job> {
    let query = format!(
        "SELECT {} AS document FROM farm.job_view j WHERE j.id = $1 AND farm.sees($2, j.id)",
        job_document(&TASK.whole())
    );
    let query = sql_query(query).bind::<BigInt, _>(id.0).bind::<Nullable<Integer>, _>(viewer.number());
    let Some(mut job) = document::<Job, _>(conn, query)? else { return Err(nothing(conn, "job", id.0)) };
    job.tasks.iter_mut().for_each(complete_urls);
    Ok(job)
}

/// The same, and what is expected of each of its tasks that has not ended: for who looks at one job, not for lists.
pub fn job_expecting(conn: &mut PgConnection, viewer: Viewer, id: JobId) -> Result<Job> {
    let mut job = job(conn, viewer, id)?;
    expect(conn, viewer, &mut job.tasks)?;
    Ok(job)
}

/// Jobs, newest first.
pub fn jobs(conn: &mut PgConnection, viewer: Viewer, filter: &JobFilter) -> Result<JobPage> {
    let limit = i64::from(filter.limit.unwrap_or(50).clamp(1, 500));
    let query = format!(
        "SELECT {} AS document FROM farm.job_view j
         WHERE ($1 IS NULL OR j.id < $1) AND ($2 IS NULL OR j.person = $2) AND ($3 IS NULL OR j.progress = $3)
           AND ($4 IS NULL OR EXISTS (SELECT FROM farm.task t WHERE t.job_id = j.id AND t.platform = $4))
           AND ($5 IS NULL OR EXISTS (SELECT FROM farm.source s WHERE s.job_id = j.id AND s.name = $5))
           AND (j.bucket IN (SELECT farm.visible_buckets($7))
                OR j.person = (SELECT p.principal FROM farm.person p WHERE p.id = $7 AND p.enabled))
         ORDER BY j.id DESC LIMIT $6",
        job_document(&TASK.line())
    );
    let mut jobs: Vec<Job> = documents(
        conn,
        sql_query(query)
            .bind::<Nullable<BigInt>, _>(filter.before)
            .bind::<Nullable<Text>, _>(filter.person.as_deref())
            .bind::<Nullable<Text>, _>(filter.progress.map(Progress::as_str))
            .bind::<Nullable<Text>, _>(filter.platform.as_ref().map(PlatformName::as_str))
            .bind::<Nullable<Text>, _>(filter.package.as_deref())
            .bind::<BigInt, _>(limit + 1)
            .bind::<Nullable<Integer>, _>(viewer.number()),
    )?;
    let more = i64::try_from(jobs.len()).unwrap_or(i64::MAX) > limit;
    jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = if more { jobs.last().map(|job| job.id.0) } else { None };
    Ok(JobPage { jobs, next })
}

/// What those of the jobs are called that the viewer sees.
pub fn titles(
    conn: &mut PgConnection,
    viewer: Viewer,
    jobs: impl Iterator<Item = JobId>,
) -> Result<HashMap<JobId, String>> {
    let jobs: Vec<i64> = jobs.map(|job| job.0).collect();
    let query = sql_query(
        "SELECT jsonb_build_array(j.id, j.title) AS document FROM farm.job j WHERE j.id = ANY ($1) AND farm.sees($2, j.id)",
    );
    let query = query.bind::<Array<BigInt>, _>(jobs).bind::<Nullable<Integer>, _>(viewer.number());
    Ok(documents(conn, query)?.into_iter().collect())
}
