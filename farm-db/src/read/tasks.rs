use diesel::{
    PgConnection, sql_query,
    sql_types::{BigInt, Integer, Nullable},
};
use farm_api::people::Task;
use farm_types::TaskId;

use crate::{
    DbError, Result, Viewer,
    document::{document, documents},
    restore,
};

/// SQL that makes a task's document out of a row `t` of `farm.task_view`.
pub(super) struct TaskDocument {
    line: &'static str,
    more: &'static str,
}

pub(super) const TASK: TaskDocument = TaskDocument {
    line: "jsonb_build_object('id', t.id, 'job', t.job_id, 'platform', t.platform, 'state', t.state, 'cause', t.cause,
      'stage', t.stage, 'message', t.message, 'excerpt', t.excerpt, 'builder', t.builder, 'created', t.created_at,
      'started', t.started_at, 'finished', t.finished_at, 'url', '/tasks/' || t.id,
      'log_url', '/api/v1/tasks/' || t.id || '/log')",
    more: " || jsonb_build_object('set_aside', (SELECT w.set_aside_at FROM farm.task w WHERE w.id = t.id),
      'attempts', (SELECT coalesce(jsonb_agg(jsonb_build_object('number', a.number, 'builder', a.builder,
          'outcome', a.outcome, 'cause', a.cause, 'stage', a.stage, 'message', a.message, 'stages', a.stages,
          'marks', a.marks, 'usage', jsonb_build_object('peak_memory_bytes', a.peak_memory_bytes,
            'cpu_milliseconds', a.cpu_milliseconds, 'written_bytes', a.written_bytes),
          'record_url', (SELECT '/artifacts/' || f.id || '/' || f.name FROM farm.artifact f
            WHERE f.task_id = a.task_id AND f.attempt = a.number AND f.kind = 'manifest' AND f.name = 'buildroot.json'),
          'started', a.started_at, 'finished', a.finished_at, 'log_size', a.log_size) ORDER BY a.number), '[]')
        FROM farm.attempt_view a WHERE a.task_id = t.id),
      'artifacts', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'kind', f.kind, 'name', f.name,
          'digest', encode(f.digest, 'hex'), 'size', f.size, 'url', '/artifacts/' || f.id || '/')
          ORDER BY f.kind, f.name), '[]')
        FROM farm.artifact f WHERE f.task_id = t.id AND f.attempt = t.attempts))",
};

impl TaskDocument {
    /// Without attempts and artifacts, for lists.
    pub(super) fn line(&self) -> String {
        self.line.to_owned()
    }

    /// With everything.
    pub(super) fn whole(&self) -> String {
        format!("({}{})", self.line, self.more)
    }
}

/// Tasks that are set aside, the latest first.
pub fn set_aside(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<Task>> {
    let query = format!(
        "SELECT {} AS document FROM farm.task w JOIN farm.task_view t ON t.id = w.id
         WHERE w.set_aside_at IS NOT NULL AND farm.sees($1, t.job_id) ORDER BY w.set_aside_at DESC, w.id LIMIT 500",
        TASK.whole()
    );
    let mut tasks: Vec<Task> = documents(conn, sql_query(query).bind::<Nullable<Integer>, _>(viewer.number()))?;
    tasks.iter_mut().for_each(complete_urls);
    Ok(tasks)
}

/// Names may hold anything that a file name may, and encoding for URLs is not the database's business.
pub(super) fn complete_urls(task: &mut Task) {
    for artifact in &mut task.artifacts {
        artifact.url = farm_api::paths::artifact(artifact.id, &artifact.name);
    }
}

/// A task with everything about it.
pub fn task(conn: &mut PgConnection, viewer: Viewer, id: TaskId) -> Result<Task> {
    let query = format!(
        "SELECT {} AS document FROM farm.task_view t WHERE t.id = $1 AND farm.sees($2, t.job_id)",
        TASK.whole()
    );
    let query = sql_query(query).bind::<BigInt, _>(id.0).bind::<Nullable<Integer>, _>(viewer.number());
    let Some(mut task) = document::<Task, _>(conn, query)? else { return Err(nothing(conn, "task", id.0)) };
    complete_urls(&mut task);
    Ok(task)
}

/// Says that there is no job or task of that number, or that it was lost.
pub(super) fn nothing(conn: &mut PgConnection, kind: &str, number: i64) -> DbError {
    match restore::lost_with(conn, kind, number) {
        Ok(lost) => DbError::NotFound(lost.unwrap_or_else(|| format!("there is no {kind} {number}"))),
        Err(error) => error,
    }
}
