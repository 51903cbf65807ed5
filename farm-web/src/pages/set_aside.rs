//! Tasks that took builders with them, and are not built again before somebody has looked.

use axum::extract::State;
use farm_api::{paths, people::Task};
use farm_db::read;
use serde::Serialize;

use super::{Page, templates::render};
use crate::{App, identity::Visitor};

#[derive(Serialize)]
struct SetAsidePage {
    page: &'static str,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    job_url: String,
    /// The packages.
    title: String,
    task: Task,
}

pub async fn page(State(app): State<App>, visitor: Visitor) -> Page {
    let viewer = visitor.viewer();
    let (tasks, mut titles) = app
        .db(move |conn| {
            let tasks = read::set_aside(conn, viewer)?;
            let titles = read::titles(conn, viewer, tasks.iter().map(|task| task.job))?;
            Ok((tasks, titles))
        })
        .await?;
    let mut row = |task: Task| {
        let title = titles.entry(task.job).or_default().clone();
        Row { job_url: paths::job(task.job), title, task }
    };
    let rows = tasks.into_iter().map(&mut row).collect();
    render("set_aside.html", &visitor, &SetAsidePage { page: "jobs", rows })
}
