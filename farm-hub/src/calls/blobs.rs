use axum::{
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use farm_api::error::ErrorCode;
use farm_db::{operator::KnownBuilder, queue};
use farm_types::{Digest, LeaseKey};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    caller::{Caller, Held},
    error::{HubError, Result},
    hub::Shared,
};

/// Takes an artifact: 204 when it was stored, 200 when it was brought under this lease already.
pub(crate) async fn blob(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Held(key): Held,
    digest: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    match wanted(&hub, &builder, key, digest, &parts.headers).await {
        Ok(wanted @ Wanted { known: false, .. }) => match store(&hub, &builder, wanted, body).await {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(error) => error.into_response(),
        },
        Ok(Wanted { known: true, .. }) => answer_early(body, StatusCode::OK),
        Err(error) => answer_early(body, error),
    }
}

/// What is about to be sent.
struct Wanted {
    key: LeaseKey,
    digest: Digest,
    size: u64,
    known: bool,
}

/// Everything that can be said before the first byte of the body.
async fn wanted(
    hub: &Shared,
    builder: &KnownBuilder,
    key: LeaseKey,
    digest: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
) -> Result<Wanted> {
    let Path(digest) = digest?;
    let digest: Digest = digest.parse().map_err(|e| HubError::bad_request(format!("{e}")))?;
    let size = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let size = size.ok_or_else(|| HubError::bad_request("say the size of the artifact: Content-Length is missing"))?;
    let limit = hub.config.max_artifact_bytes;
    if size > limit {
        let message = format!("the artifact has {size} bytes; {limit} is the most that the farm takes");
        return Err(HubError::new(ErrorCode::TooLarge, message));
    }
    // What the farm has otherwise is sent all the same: a digest that was overheard must not be enough to have the bytes.
    let builder = builder.id;
    let known = hub.pool.run(move |conn| queue::has_delivered(conn, builder, &key, &digest, size)).await?;
    Ok(Wanted { key, digest, size, known })
}

/// Receives the bytes, and remembers under which lease: the attempt can be finished with them, which proves the lease again.
async fn store(hub: &Shared, builder: &KnownBuilder, wanted: Wanted, body: Body) -> Result<()> {
    let (Wanted { key, digest, size, .. }, builder) = (wanted, builder.id);
    hub.store.put_stream(&digest, size, body.into_data_stream().map_err(axum::Error::into_inner)).await?;
    hub.pool.run(move |conn| queue::deliver(conn, builder, &key, &digest, size)).await?;
    metrics::counter!("farm_hub_blob_bytes_total").increment(size);
    Ok(())
}

/// Answers while the body is still being sent. The rest of it is read away: closing the connection on a sender in the
/// middle of it would reset the connection and lose the answer.
fn answer_early(body: Body, answer: impl IntoResponse) -> Response {
    let rest = body.into_data_stream().for_each(|_| std::future::ready(()));
    tokio::spawn(tokio::time::timeout(super::LONGEST_WAIT, rest));
    answer.into_response()
}
