use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
};
use farm_db::queue;
use farm_types::Digest;

use crate::{
    caller::{Caller, Held},
    error::Result,
    hub::Shared,
};

/// The bytes of a source of the task, verified on the way: of a damaged one the last bytes never come.
pub(crate) async fn source(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Held(key): Held,
    position: Result<Path<u32>, PathRejection>,
) -> Result<Response> {
    let Path(position) = position?;
    let (digest, _) = hub.pool.run(move |conn| queue::source(conn, builder.id, &key, position)).await?;
    send(&hub, &digest).await
}

/// The record of the build with whose packages the task is to be built, verified in the same way.
pub(crate) async fn record(State(hub): State<Shared>, Caller(builder): Caller, Held(key): Held) -> Result<Response> {
    let digest = hub.pool.run(move |conn| queue::like(conn, builder.id, &key)).await?;
    send(&hub, &digest).await
}

/// A package that a job before that of the task has made, verified in the same way.
pub(crate) async fn package(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Held(key): Held,
    digest: Result<Path<Digest>, PathRejection>,
) -> Result<Response> {
    let Path(digest) = digest?;
    hub.pool.run(move |conn| queue::package(conn, builder.id, &key, &digest)).await?;
    send(&hub, &digest).await
}

async fn send(hub: &Shared, digest: &Digest) -> Result<Response> {
    let blob = hub.store.get(digest).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, blob.size().to_string()),
    ];
    Ok((headers, Body::from_stream(blob.stream())).into_response())
}
