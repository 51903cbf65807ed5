//! What administrators look after.

use axum::{Json, extract::State, http::StatusCode};
use farm_api::people::{Bucket, BucketChange, BuilderChange, PlatformChange};
use farm_db::{operator, read};
use farm_types::{BucketName, BuilderName, PlatformName};

use crate::{
    App, Caller,
    error::{AppError, Result},
    extract::{self, Name},
    identity::Visitor,
};

/// The buckets whose contents the visitor sees.
#[utoipa::path(get, path = "/buckets", tag = "farm", responses((status = 200, body = [Bucket])))]
pub async fn buckets(State(app): State<App>, visitor: Visitor) -> Result<Json<Vec<Bucket>>> {
    app.db(move |conn| read::buckets(conn, visitor.viewer())).await.map(Json)
}

/// Makes a bucket, or changes one. Takes the right `buckets`.
#[utoipa::path(put, path = "/buckets/{name}", tag = "farm", params(("name" = String, Path)), request_body = BucketChange,
    responses((status = 204)))]
pub async fn put_bucket(
    State(app): State<App>,
    caller: Caller,
    Name(name): Name<BucketName>,
    extract::Json(change): extract::Json<BucketChange>,
) -> Result<StatusCode> {
    if change.description.as_ref().is_some_and(|text| text.len() > 1000 || text.contains('\0')) {
        return Err(AppError::bad_request("a description is a line of text, of 1000 bytes at the most"));
    }
    let actor = caller.actor();
    app.db(move |conn| operator::put_bucket(conn, &actor, &name, change.description.as_deref(), change.public)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says whether a builder is given tasks. Takes the right `builders`.
#[utoipa::path(post, path = "/builders/{name}/state", tag = "farm", params(("name" = String, Path)),
    request_body = BuilderChange, responses((status = 204)))]
pub async fn builder_state(
    State(app): State<App>,
    caller: Caller,
    Name(name): Name<BuilderName>,
    extract::Json(change): extract::Json<BuilderChange>,
) -> Result<StatusCode> {
    set_builder(&app, caller, name, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says whether a builder is given tasks, for the API and the page.
pub async fn set_builder(app: &App, caller: Caller, name: BuilderName, change: BuilderChange) -> Result<()> {
    let reason = change.reason.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if reason.as_ref().is_some_and(|text| text.len() > 1000 || text.contains('\0')) {
        return Err(AppError::bad_request("a reason is a line of text, of 1000 bytes at the most"));
    }
    let actor = caller.actor();
    app.db(move |conn| operator::set_builder_state(conn, &actor, &name, change.state, reason.as_deref())).await
}

/// Opens or closes a platform. Takes the right `platforms`.
#[utoipa::path(post, path = "/platforms/{name}/state", tag = "farm", params(("name" = String, Path)),
    request_body = PlatformChange, responses((status = 204)))]
pub async fn platform_state(
    State(app): State<App>,
    caller: Caller,
    Name(name): Name<PlatformName>,
    extract::Json(change): extract::Json<PlatformChange>,
) -> Result<StatusCode> {
    set_platform(&app, caller, name, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Opens or closes a platform, for the API and the page.
pub async fn set_platform(app: &App, caller: Caller, name: PlatformName, change: PlatformChange) -> Result<()> {
    let actor = caller.actor();
    app.db(move |conn| operator::enable_platform(conn, &actor, &name, change.enabled)).await
}
