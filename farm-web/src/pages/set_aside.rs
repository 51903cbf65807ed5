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
    task: Task,
}

pub async fn page(State(app): State<App>, visitor: Visitor) -> Page {
    let viewer = visitor.viewer();
    let tasks = app.db(move |conn| read::set_aside(conn, viewer)).await?;
    let rows = tasks.into_iter().map(|task| Row { job_url: paths::job(task.job), task }).collect();
    render("set_aside.html", &visitor, &SetAsidePage { page: "jobs", rows })
}
