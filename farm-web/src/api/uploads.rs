//! Uploads: asked for by digest, received in pieces, verified before they count.

use std::{io, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
};
use farm_api::{
    error::{ErrorBody, ErrorCode},
    people::{NewUpload, Upload},
};
use farm_db::{Actor, blobs};
use farm_store::{Staged, StoreError};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use tracing::Instrument as _;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    App, Caller,
    error::{AppError, Result},
    extract::{self, Name, Query},
};

/// A sender that is silent for so long has gone. Its upload must not stay locked against its next try.
const SILENCE: Duration = Duration::from_secs(30);

/// Asks whether the server has a file, and if not, where to send it.
#[utoipa::path(post, path = "/uploads", tag = "uploads", request_body = NewUpload, responses((status = 200, body = Upload)))]
pub async fn begin(
    State(app): State<App>,
    caller: Caller,
    extract::Json(new): extract::Json<NewUpload>,
) -> Result<Json<Upload>> {
    let NewUpload { digest, size } = new;
    let limit = app.config.max_upload_bytes;
    if size > limit {
        let message = format!("the file has {size} bytes, and this farm takes {limit} at the most");
        return Err(AppError::new(ErrorCode::TooLarge, message));
    }
    // The store is asked too: should it have lost the blob, or some of it, this upload brings it back.
    let actor = caller.actor();
    if let Some(known) = app.db(move |conn| blobs::known(conn, &actor, &digest)).await?
        && app.store.size(&digest).await? == u64::try_from(known).ok()
    {
        if u64::try_from(known).ok() != Some(size) {
            let message = format!("the file with that digest has {known} bytes, not {size}");
            return Err(AppError::new(ErrorCode::Refused, message));
        }
        return Ok(Json(Upload { id: None, offset: size, size, complete: true }));
    }
    let actor = caller.actor();
    let id = app.db(move |conn| blobs::begin_upload(conn, &actor, &digest, size)).await?;
    let upload = blobs::Upload { id, digest, size };
    under_way(&app, &upload).await.map(Json)
}

/// Where an upload stands.
#[utoipa::path(get, path = "/uploads/{id}", tag = "uploads", params(("id" = Uuid, Path)), responses((status = 200, body = Upload)))]
pub async fn status(State(app): State<App>, caller: Caller, Name(id): Name<Uuid>) -> Result<Json<Upload>> {
    let principal = caller.principal.clone();
    let upload = app.db(move |conn| blobs::find_upload(conn, &principal, id)).await?;
    under_way(&app, &upload).await.map(Json)
}

async fn under_way(app: &App, upload: &blobs::Upload) -> Result<Upload> {
    let offset = app.store.staged_len(upload.id).await?.unwrap_or(0);
    Ok(Upload { id: Some(upload.id), offset, size: upload.size, complete: false })
}

/// Where the bytes of a request begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Offset {
    /// Offset of the first byte; not after the end of the server's part. What the server has from there on is replaced.
    offset: u64,
}

/// Receives bytes. When the connection is cut, what arrived stays, and the sender asks where to go on.
#[utoipa::path(patch, path = "/uploads/{id}", tag = "uploads", params(("id" = Uuid, Path), Offset),
    request_body(content_type = "application/octet-stream"), responses((status = 200, body = Upload)))]
pub async fn receive(
    State(app): State<App>,
    caller: Caller,
    Name(id): Name<Uuid>,
    Query(Offset { offset }): Query<Offset>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Upload>> {
    let principal = caller.principal.clone();
    let upload = app.db(move |conn| blobs::find_upload(conn, &principal, id)).await?;
    let mut staged = app.store.stage(id).await?;
    let have = staged.len();
    if offset > have {
        return Err(wrong_offset(have, offset));
    }
    // Another farm-web may have told the sender of less.
    staged.rewind(offset).await?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|more| offset.saturating_add(more) > upload.size) {
        return Err(too_much(upload.size));
    }
    // On its own: what came of an upload whose sender goes is kept, and the last step is not stopped halfway.
    tokio::spawn(take(app, caller.actor(), upload, staged, body).in_current_span()).await?.map(Json)
}

/// Takes what comes, and with the last byte ends the upload. When less comes, every farm-web can go on with it.
async fn take(app: App, actor: Actor, upload: blobs::Upload, mut staged: Staged, body: Body) -> Result<Upload> {
    let blobs::Upload { id, size, .. } = upload;
    let had = staged.len();
    let received = staged.append_stream(timely(body), size).await;
    let have = staged.len();
    metrics::counter!("farm_web_upload_bytes_total").increment(have.saturating_sub(had));
    match received {
        Err(StoreError::SizeMismatch { .. }) => return Err(too_much(size)),
        Ok(()) if have == size => return finish(app, actor, upload, staged).await,
        Ok(()) => app.store.suspend(staged).await?,
        Err(error) => {
            // What went wrong first is what the sender is told. On a full disk, say, what came stays here alone.
            if let Err(error) = app.store.suspend(staged).await {
                tracing::warn!(%error, "an upload that broke off cannot go on at other hosts");
            }
            return Err(error.into());
        }
    }
    Ok(Upload { id: Some(id), offset: have, size, complete: false })
}

fn wrong_offset(have: u64, offset: u64) -> AppError {
    let message =
        format!("the server has {have} bytes of this upload, so the next ones begin at {have}, not at {offset}");
    AppError::Refused(ErrorBody { offset: Some(have), ..ErrorBody::new(ErrorCode::WrongOffset, message) })
}

fn too_much(size: u64) -> AppError {
    AppError::new(ErrorCode::Refused, format!("more bytes were sent than the {size} that the file was said to have"))
}

/// Verifies the whole file and makes it known.
async fn finish(app: App, actor: Actor, upload: blobs::Upload, staged: Staged) -> Result<Upload> {
    let blobs::Upload { id, digest, size } = upload;
    match app.store.commit(staged, &digest, size).await {
        Err(error @ StoreError::DigestMismatch { .. }) => {
            app.db(move |conn| blobs::forget_upload(conn, &actor, id)).await?;
            let message = format!("{error}; the file was changed while it was sent, or on the way: send it again");
            return Err(AppError::new(ErrorCode::Refused, message));
        }
        committed => committed?,
    }
    app.db(move |conn| blobs::end_upload(conn, &actor, id)).await?;
    tracing::info!(blob = %digest, size, "upload complete");
    Ok(Upload { id: None, offset: size, size, complete: true })
}

/// The body, as long as its sender goes on.
fn timely(body: Body) -> impl Stream<Item = io::Result<Bytes>> {
    futures::stream::unfold(body.into_data_stream(), |mut body| async {
        match tokio::time::timeout(SILENCE, body.next()).await {
            Ok(next) => next.map(|piece| (piece.map_err(io::Error::other), body)),
            Err(_) => {
                let silence = format!("nothing came for {} seconds", SILENCE.as_secs());
                Some((Err(io::Error::new(io::ErrorKind::TimedOut, silence)), body))
            }
        }
    })
}
