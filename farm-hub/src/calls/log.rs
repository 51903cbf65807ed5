use std::io::Write as _;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Query, Request, State},
};
use farm_api::{error::ErrorCode, hub::LogTaken};
use farm_db::queue;
use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;

use crate::{
    caller::{Caller, Held},
    error::{HubError, Result},
    hub::Shared,
};

/// The largest piece of log that is taken at once.
pub(crate) const MAX_PIECE: usize = 1 << 20;
/// Smaller pieces are compressed faster than another thread is asked to.
const SMALL_PIECE: usize = 32 << 10;

/// Where a piece of log belongs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    start: u64,
}

/// Takes the next piece of a log. One that does not begin where the last one ended changes nothing; the answer says
/// where to go on. An empty one just asks for that.
pub(crate) async fn log(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Held(key): Held,
    place: Result<Query<Place>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Json<LogTaken>> {
    let Query(Place { start }) = place?;
    let piece = Bytes::from_request(request, &hub).await?;
    let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
    let limit = hub.config.max_log_bytes;
    if start.saturating_add(length.into()) > limit {
        let message = format!("a log may have {limit} bytes; end the attempt with the cause output_too_large");
        return Err(HubError::new(ErrorCode::TooLarge, message));
    }
    let packed = pack(piece).await?;
    let next = hub.pool.run(move |conn| queue::append_log(conn, builder.id, &key, start, length, &packed)).await?;
    if next == start + u64::from(length) {
        metrics::counter!("farm_hub_log_bytes_total").increment(length.into());
    }
    Ok(Json(LogTaken { next }))
}

/// Compresses a piece to a gzip file of its own; put together in order they are one.
async fn pack(piece: Bytes) -> Result<Vec<u8>> {
    let small = piece.len() <= SMALL_PIECE;
    let gzip = move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(piece.len() / 4 + 32), Compression::fast());
        encoder.write_all(&piece)?;
        encoder.finish()
    };
    let packed = if small { gzip() } else { tokio::task::spawn_blocking(gzip).await? };
    packed.map_err(|e| HubError::new(ErrorCode::Unavailable, format!("a piece of log could not be compressed: {e}")))
}
