use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
};
use farm_db::queue;

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
    let blob = hub.store.get(&digest).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, blob.size().to_string()),
    ];
    Ok((headers, Body::from_stream(blob.stream())).into_response())
}
