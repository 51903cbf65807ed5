//! Tasks.

use axum::{Json, extract::State};
use farm_api::people::{Task, Why};
use farm_db::read;
use farm_types::TaskId;

use crate::{App, error::Result, extract::Name};

/// A task.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", params(("id" = i64, Path)), responses((status = 200, body = Task)))]
pub async fn show(State(app): State<App>, Name(id): Name<TaskId>) -> Result<Json<Task>> {
    app.db(move |conn| read::task(conn, id)).await.map(Json)
}

/// Why a task is where it is.
#[utoipa::path(get, path = "/tasks/{id}/why", tag = "tasks", params(("id" = i64, Path)), responses((status = 200, body = Why)))]
pub async fn why(State(app): State<App>, Name(id): Name<TaskId>) -> Result<Json<Why>> {
    app.db(move |conn| read::why(conn, id)).await.map(Json)
}
