//! Tasks.

use axum::{Json, extract::State};
use farm_api::{
    people::{Task, Why},
    record::BuildrootView,
};
use farm_db::read;
use farm_types::TaskId;

use crate::{
    App, buildroot as chroot,
    error::Result,
    extract::{Name, Query},
    identity::Visitor,
};

/// A task.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", params(("id" = i64, Path)), responses((status = 200, body = Task)))]
pub async fn show(State(app): State<App>, visitor: Visitor, Name(id): Name<TaskId>) -> Result<Json<Task>> {
    let viewer = visitor.viewer();
    let task = app
        .db(move |conn| {
            let mut task = read::task(conn, viewer, id)?;
            read::expect(conn, viewer, std::slice::from_mut(&mut task))?;
            Ok(task)
        })
        .await?;
    Ok(Json(task))
}

/// Why a task is where it is.
#[utoipa::path(get, path = "/tasks/{id}/why", tag = "tasks", params(("id" = i64, Path)), responses((status = 200, body = Why)))]
pub async fn why(State(app): State<App>, visitor: Visitor, Name(id): Name<TaskId>) -> Result<Json<Why>> {
    let viewer = visitor.viewer();
    app.db(move |conn| read::why(conn, viewer, id)).await.map(Json)
}

/// What a source was built in, and what has changed since the package was built before.
#[utoipa::path(get, path = "/tasks/{id}/buildroot", tag = "tasks", params(("id" = i64, Path), chroot::Choice),
    responses((status = 200, body = BuildrootView)))]
pub async fn buildroot(
    State(app): State<App>,
    visitor: Visitor,
    Name(id): Name<TaskId>,
    Query(choice): Query<chroot::Choice>,
) -> Result<Json<BuildrootView>> {
    Ok(Json(chroot::view(&app, visitor.viewer(), id, choice).await?.0))
}
