//! A job.

use axum::extract::State;
use farm_api::{paths, people::Job};
use farm_db::{
    access,
    read::{self, Link},
};
use farm_types::{JobId, TaskState};
use serde::Serialize;

use super::{Page, templates::render};
use crate::{App, extract::Name, identity::Visitor};

#[derive(Serialize)]
struct JobPage {
    page: &'static str,
    /// Where changes are told.
    events: String,
    person_url: String,
    /// Whether it goes on.
    live: bool,
    /// Whether there are buttons.
    may_change: bool,
    /// What can be built again: `failed`, `cancelled`, or nothing.
    retry: &'static str,
    /// What is expected of each of its tasks, in words.
    expected: Vec<Option<String>>,
    /// What to type for the same.
    commands: Vec<String>,
    /// The jobs that hang together with it by coming after each other, itself too.
    chain: Vec<Link>,
    /// What its builds are asked for, and under which name.
    options: Vec<Asked>,
    job: Job,
}

/// Something that a job asks of its builds.
#[derive(Serialize)]
struct Asked {
    name: &'static str,
    value: String,
}

pub async fn page(State(app): State<App>, visitor: Visitor, Name(id): Name<JobId>) -> Page {
    let viewer = visitor.viewer();
    let person = visitor.0.as_ref().map(|caller| caller.person);
    let (job, chain, may_change) = app
        .db(move |conn| {
            let may = |conn: &mut _| person.map_or(Ok(false), |person| access::may_change(conn, person, id));
            Ok((read::job_expecting(conn, viewer, id)?, read::chain(conn, viewer, id)?, may(conn)?))
        })
        .await?;
    let page = JobPage {
        page: "jobs",
        events: format!("/api/v1/jobs/{id}/events"),
        person_url: format!("/jobs?person={}", paths::segment(&job.person)),
        live: !job.progress.is_final(),
        may_change,
        retry: if may_change { retry(&job) } else { "" },
        expected: job.tasks.iter().map(|task| task.expected.as_ref().map(ToString::to_string)).collect(),
        commands: commands(&job),
        chain,
        options: job.options.shown().into_iter().map(|(name, value)| Asked { name, value }).collect(),
        job,
    };
    render("job.html", &visitor, &page)
}

fn retry(job: &Job) -> &'static str {
    if job.gone.is_some() {
        return "";
    }
    let any = |state| job.tasks.iter().any(|task| task.state == state && task.set_aside.is_none());
    match (any(TaskState::Failed), any(TaskState::Cancelled)) {
        (true, _) => "failed",
        (_, true) => "cancelled",
        _ => "",
    }
}

fn commands(job: &Job) -> Vec<String> {
    let (live, gone) = (!job.progress.is_final(), job.gone.is_some());
    let sensible = [
        (if live { "watch" } else { "show" }, true),
        (if live { "logs -f" } else { "logs" }, !gone && job.tasks.iter().any(|task| task.started.is_some())),
        ("download", !gone && job.succeeded > 0),
    ];
    sensible.iter().filter(|(_, sense)| *sense).map(|(command, _)| format!("farm {command} {}", job.id)).collect()
}
