//! Jobs.

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use farm_api::people::{Job, JobFilter, JobPage, NewJob, Retry};
use farm_db::{DbError, Viewer, intake, queue, read};
use farm_types::JobId;

use super::submission;
use crate::{
    App, Caller,
    error::{AppError, Result},
    extract::{self, Name, Query},
    identity::Visitor,
};

/// Lists jobs, newest first.
#[utoipa::path(get, path = "/jobs", tag = "jobs", params(JobFilter), responses((status = 200, body = JobPage)))]
pub async fn list(State(app): State<App>, visitor: Visitor, Query(filter): Query<JobFilter>) -> Result<Json<JobPage>> {
    find(&app, &visitor, filter).await.map(Json)
}

/// The jobs that a filter lets through, for the API and the page.
pub async fn find(app: &App, visitor: &Visitor, filter: JobFilter) -> Result<JobPage> {
    // PostgreSQL has no text with a zero byte in it, so nothing is called so.
    if [&filter.person, &filter.package].into_iter().flatten().any(|name| name.contains('\0')) {
        return Err(AppError::bad_request("a name in the filter has a zero byte in it"));
    }
    let viewer = visitor.viewer();
    app.db(move |conn| read::jobs(conn, viewer, &filter)).await
}

/// Hands in a job. The same request sent again is the same job.
#[utoipa::path(post, path = "/jobs", tag = "jobs", request_body = NewJob, responses(
    (status = 201, body = Job, description = "a new job"),
    (status = 200, body = Job, description = "the job that the same request made before"),
))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    extract::Json(new): extract::Json<NewJob>,
) -> Result<(StatusCode, Json<Job>)> {
    let submission = submission::check(caller.actor(), new, app.config.max_sources)?;
    let (job, is_new) = app
        .db(move |conn| {
            let (id, is_new) = intake::submit(conn, &submission)?;
            Ok((read::job(conn, Viewer(Some(caller.person)), id)?, is_new))
        })
        .await?;
    if is_new {
        tracing::info!(job.id = %job.id, person = job.person, sources = job.sources.len(), "job submitted");
    }
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(job)))
}

/// A job with everything about it.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", params(("id" = i64, Path)), responses((status = 200, body = Job)))]
pub async fn show(State(app): State<App>, visitor: Visitor, Name(id): Name<JobId>) -> Result<Json<Job>> {
    let viewer = visitor.viewer();
    app.db(move |conn| read::job(conn, viewer, id)).await.map(Json)
}

/// Withdraws what has not ended. Where all has ended, nothing changes.
#[utoipa::path(post, path = "/jobs/{id}/cancel", tag = "jobs", params(("id" = i64, Path)), responses((status = 200, body = Job)))]
pub async fn cancel(State(app): State<App>, caller: Caller, Name(id): Name<JobId>) -> Result<Json<Job>> {
    withdraw(&app, caller, id).await.map(Json)
}

/// Withdraws a job, for the API and the page.
pub async fn withdraw(app: &App, caller: Caller, id: JobId) -> Result<Job> {
    let (actor, viewer) = (caller.actor(), Viewer(Some(caller.person)));
    let cancel = move |conn: &mut _| Ok((queue::cancel_job(conn, &actor, id)?, read::job(conn, viewer, id)?));
    let (tasks, job) = app.db(cancel).await?;
    tracing::info!(job.id = %id, person = caller.principal, tasks, "job cancelled");
    Ok(job)
}

/// Builds again what did not succeed. Without a body: what failed and what was cancelled.
#[utoipa::path(post, path = "/jobs/{id}/retry", tag = "jobs", params(("id" = i64, Path)), request_body = Retry, responses((status = 200, body = Job)))]
pub async fn retry(State(app): State<App>, caller: Caller, Name(id): Name<JobId>, body: Bytes) -> Result<Json<Job>> {
    let retry = match &body[..] {
        [] => Retry::default(),
        json => axum::Json::<Retry>::from_bytes(json)?.0,
    };
    again(&app, caller, id, retry).await.map(Json)
}

/// Builds a job again, for the API and the page.
pub async fn again(app: &App, caller: Caller, id: JobId, retry: Retry) -> Result<Job> {
    let (actor, viewer) = (caller.actor(), Viewer(Some(caller.person)));
    let (tasks, job) = app
        .db(move |conn| {
            let tasks = queue::retry_job(conn, &actor, id, retry.failed_only)?;
            if tasks == 0 {
                let what = if retry.failed_only { "failed" } else { "failed or was cancelled" };
                return Err(DbError::Conflict(format!(
                    "nothing of job {id} {what}, so there is nothing to build again"
                )));
            }
            Ok((tasks, read::job(conn, viewer, id)?))
        })
        .await?;
    tracing::info!(job.id = %id, person = caller.principal, tasks, "job is built again");
    Ok(job)
}
