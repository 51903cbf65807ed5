//! Jobs.

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use farm_api::people::{Chain, Job, JobFilter, JobPage, NewChain, NewJob, Retry};
use farm_db::{DbError, PgConnection, Viewer, intake, queue, read};
use farm_types::{JobId, Scope};

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
    let sources = submission.sources.len();
    let (job, is_new) = app
        .db(move |conn| {
            let (id, is_new) = intake::submit(conn, &submission)?;
            Ok((shown(conn, &caller, id)?, is_new))
        })
        .await?;
    if is_new {
        tracing::info!(job.id = %job.id, person = job.person, sources, "job submitted");
    }
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(job)))
}

/// Hands in a chain of jobs: all of them, or none. The same request sent again is the same chain; with more jobs at its end it makes
/// those that are new.
#[utoipa::path(post, path = "/chains", tag = "jobs", request_body = NewChain, responses(
    (status = 201, body = Chain, description = "at least one new job"),
    (status = 200, body = Chain, description = "the jobs that the same request made before"),
))]
pub async fn create_chain(
    State(app): State<App>,
    caller: Caller,
    extract::Json(new): extract::Json<NewChain>,
) -> Result<(StatusCode, Json<Chain>)> {
    let submissions = submission::check_chain(&caller.actor(), new, app.config.max_sources)?;
    let person = caller.principal.clone();
    let (made, jobs) = app
        .db(move |conn| {
            let made = intake::submit_chain(conn, submissions)?;
            let jobs = made.iter().map(|(id, _)| shown(conn, &caller, *id)).collect::<Result<Vec<_>, _>>()?;
            Ok((made, jobs))
        })
        .await?;
    for (id, _) in made.iter().filter(|(_, is_new)| *is_new) {
        tracing::info!(job.id = %id, person, "job of a chain submitted");
    }
    let is_new = made.iter().any(|(_, is_new)| *is_new);
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(Chain { jobs })))
}

/// A job with everything about it.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", params(("id" = i64, Path)), responses((status = 200, body = Job)))]
pub async fn show(State(app): State<App>, visitor: Visitor, Name(id): Name<JobId>) -> Result<Json<Job>> {
    let viewer = visitor.viewer();
    app.db(move |conn| read::job_expecting(conn, viewer, id)).await.map(Json)
}

/// Withdraws what has not ended. Where all has ended, nothing changes.
#[utoipa::path(post, path = "/jobs/{id}/cancel", tag = "jobs", params(("id" = i64, Path)), responses((status = 200, body = Job)))]
pub async fn cancel(State(app): State<App>, caller: Caller, Name(id): Name<JobId>) -> Result<Json<Job>> {
    withdraw(&app, caller, id).await.map(Json)
}

/// Withdraws a job, for the API and the page.
pub async fn withdraw(app: &App, caller: Caller, id: JobId) -> Result<Job> {
    let person = caller.principal.clone();
    let cancel = move |conn: &mut _| {
        check_reach(conn, &caller, id)?;
        Ok((queue::cancel_job(conn, &caller.actor(), id)?, shown(conn, &caller, id)?))
    };
    let (tasks, job) = app.db(cancel).await?;
    tracing::info!(job.id = %id, person, tasks, "job cancelled");
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
    let person = caller.principal.clone();
    let (tasks, job) = app
        .db(move |conn| {
            check_reach(conn, &caller, id)?;
            let tasks = queue::retry_job(conn, &caller.actor(), id, retry.failed_only)?;
            if tasks == 0 {
                let what = if retry.failed_only { "failed" } else { "failed or was cancelled" };
                return Err(DbError::Conflict(format!(
                    "nothing of job {id} {what}, so there is nothing to build again"
                )));
            }
            Ok((tasks, shown(conn, &caller, id)?))
        })
        .await?;
    tracing::info!(job.id = %id, person, tasks, "job is built again");
    Ok(job)
}

/// Refuses whoever comes with less than all scopes at the job of somebody else: the right to change jobs of others, or of a whole
/// bucket, is one to administer, and a token that was made to cancel the own jobs does not have it.
fn check_reach(conn: &mut PgConnection, caller: &Caller, id: JobId) -> farm_db::Result<()> {
    if caller.has(Scope::Admin) || read::job(conn, Viewer(Some(caller.person)), id)?.person == caller.principal {
        return Ok(());
    }
    Err(DbError::Forbidden(format!(
        "this token is for your own jobs: to change job {id}, which is of somebody else, it takes the scope “{}” as well",
        Scope::Admin
    )))
}

/// The job as the caller may see it after having changed it. With a token that is not for reading that is what anybody sees, and
/// where nobody sees it, what tells it from other jobs and how it stands.
fn shown(conn: &mut PgConnection, caller: &Caller, id: JobId) -> farm_db::Result<Job> {
    let whole = read::job(conn, Viewer(Some(caller.person)), id)?;
    if caller.has(Scope::Read) {
        return Ok(whole);
    }
    match read::job(conn, Viewer::ANYBODY, id) {
        Err(DbError::NotFound(_)) => Ok(Job {
            targets: String::new(),
            after: None,
            like: None,
            succeeded: 0,
            total: 0,
            reasons: Vec::new(),
            warnings: Vec::new(),
            finished: None,
            sources: Vec::new(),
            tasks: Vec::new(),
            ..whole
        }),
        public => public,
    }
}
