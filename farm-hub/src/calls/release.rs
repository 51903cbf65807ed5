use axum::{extract::State, http::StatusCode};
use farm_api::hub::Release;
use farm_db::queue;
use tracing::info;

use crate::{
    caller::{Caller, Document, Held, storable},
    error::Result,
    hub::Shared,
};

/// Gives a task back.
pub(crate) async fn release(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Held(key): Held,
    Document(release): Document<Release>,
) -> Result<StatusCode> {
    let message = storable(release.message);
    hub.reserve.run(move |conn| queue::release(conn, builder.id, &key, &message)).await?;
    info!(task.id = %key.task, attempt = %key.attempt, builder.id = %builder.id, "task given back");
    Ok(StatusCode::NO_CONTENT)
}
