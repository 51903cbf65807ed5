//! The overview.

use axum::extract::State;
use farm_api::{
    paths,
    people::{Builder, Job, JobFilter, Queue, RunningTask},
};
use farm_db::read;
use serde::Serialize;

use super::{Page, hosts::BuilderRow, templates::render};
use crate::{App, identity::Visitor};

/// So many of the latest jobs.
const LATEST: u32 = 15;

#[derive(Serialize)]
struct FrontPage {
    page: &'static str,
    queue: Queue,
    slots: i32,
    running: Vec<RunningRow>,
    builders: Vec<BuilderRow>,
    jobs: Vec<Job>,
}

#[derive(Serialize)]
struct RunningRow {
    job_url: String,
    task_url: String,
    builder_url: String,
    builder: String,
    task: RunningTask,
}

impl RunningRow {
    fn of(builder: &Builder) -> impl Iterator<Item = Self> {
        builder.running.iter().map(|task| Self {
            job_url: paths::job(task.job),
            task_url: paths::task(task.task),
            builder_url: paths::builder(&builder.name),
            builder: builder.name.to_string(),
            task: task.clone(),
        })
    }
}

pub async fn page(State(app): State<App>, visitor: Visitor) -> Page {
    let viewer = visitor.viewer();
    let (queue, builders, jobs) = app
        .db(move |conn| {
            let filter = JobFilter { limit: Some(LATEST), ..JobFilter::default() };
            Ok((read::queue(conn)?, read::builders(conn, viewer, None)?, read::jobs(conn, viewer, &filter)?.jobs))
        })
        .await?;
    let mut running: Vec<_> = builders.iter().flat_map(RunningRow::of).collect();
    running.sort_by_key(|row| row.task.started);
    let slots = builders.iter().filter(|builder| builder.alive).map(|builder| builder.slots).sum();
    let builders = builders.into_iter().map(BuilderRow::new).collect();
    render("front.html", &visitor, &FrontPage { page: "front", queue, slots, running, builders, jobs })
}
