//! A task, with its attempts and its log.

use axum::extract::State;
use farm_api::{
    error::ErrorCode,
    paths,
    people::{Attempt, Task, Why},
};
use farm_db::read;
use farm_types::{AttemptNumber, JobId, TaskId, TaskState};
use serde::{Deserialize, Serialize};

use super::{
    Page,
    stages::{self, StageBar},
    tail::{self, LogView},
    templates::render,
};
use crate::{
    App,
    error::AppError,
    extract::{Name, Query},
    identity::Visitor,
};

/// Which attempt's log; the latest when absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Choice {
    attempt: Option<i32>,
    /// The first byte of the log that is shown; its end when absent.
    from: Option<u64>,
}

#[derive(Serialize)]
struct TaskPage {
    page: &'static str,
    /// The packages.
    title: String,
    job_url: String,
    platform_url: String,
    /// Where changes are told.
    events: String,
    /// Whether it goes on.
    live: bool,
    why: Option<Why>,
    /// Why in one sentence, without what the builders say.
    headline: Option<String>,
    /// The job that it waits for.
    after: Option<JobId>,
    /// Who is ahead of it.
    line: Option<String>,
    /// When it is expected to begin and to end.
    expected: Option<String>,
    /// What can be done about it; every other piece is a command.
    remedy: Vec<&'static str>,
    /// The latest first.
    attempts: Vec<AttemptRow>,
    log: Option<LogView>,
    task: Task,
}

#[derive(Serialize)]
struct AttemptRow {
    url: String,
    /// Whether it is its log that the page shows.
    shown: bool,
    stages: Vec<StageBar>,
    /// What it used up, in words.
    usage: Vec<String>,
    /// What it was built in.
    buildroot: Option<String>,
    attempt: Attempt,
}

pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Name(id): Name<TaskId>,
    Query(choice): Query<Choice>,
) -> Page {
    let viewer = visitor.viewer();
    let (task, title, after, why) = app
        .db(move |conn| {
            let task = read::task(conn, viewer, id)?;
            let job = read::job(conn, viewer, task.job)?;
            let waits = matches!(task.state, TaskState::Waiting | TaskState::Pending);
            let why = if waits { Some(read::why(conn, viewer, id)?) } else { None };
            Ok((task, job.title, job.after, why))
        })
        .await?;
    let number = choice.attempt.map(AttemptNumber).or(task.attempts.last().map(|attempt| attempt.number));
    let log = match task.attempts.iter().find(|attempt| Some(attempt.number) == number) {
        Some(attempt) => Some(tail::view(&app, viewer, id, attempt, choice.from).await?),
        None if choice.attempt.is_some() => {
            let message = format!("task {id} has no attempt {}", choice.attempt.unwrap_or_default());
            return Err(AppError::new(ErrorCode::NotFound, message));
        }
        None => None,
    };
    let attempts = task.attempts.iter().rev().map(|attempt| AttemptRow {
        url: format!("{}?attempt={}", task.url, attempt.number),
        shown: Some(attempt.number) == number,
        stages: stages::bar(attempt),
        usage: stages::usage(&attempt.usage),
        buildroot: attempt.record_url.as_ref().map(|_| format!("{}/buildroot?attempt={}", task.url, attempt.number)),
        attempt: attempt.clone(),
    });
    let page = TaskPage {
        page: "jobs",
        title,
        job_url: paths::job(task.job),
        platform_url: paths::platform(&task.platform),
        events: format!("/api/v1/jobs/{}/events", task.job),
        live: !task.state.is_final(),
        line: why.as_ref().and_then(Why::line),
        expected: why.as_ref().and_then(|why| why.expected.as_ref()).map(ToString::to_string),
        headline: why.as_ref().map(|why| why.headline().to_owned()),
        after: after.filter(|_| task.state == TaskState::Waiting),
        remedy: why.as_ref().map(|why| why.reason.remedy().split('`').collect()).unwrap_or_default(),
        why,
        attempts: attempts.collect(),
        log,
        task,
    };
    render("task.html", &visitor, &page)
}
