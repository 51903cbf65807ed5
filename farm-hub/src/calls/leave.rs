use axum::{extract::State, http::StatusCode};
use farm_api::hub::Leave;
use farm_db::queue;
use tracing::info;

use crate::{
    caller::{Caller, Document},
    error::Result,
    hub::Shared,
};

/// A life of a builder hands over to the next one, or is the last one.
pub(crate) async fn leave(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Document(leave): Document<Leave>,
) -> Result<StatusCode> {
    if leave.for_good {
        let left = hub.pool.run(move |conn| queue::deregister(conn, builder.id, leave.instance)).await?;
        info!(builder.id = %builder.id, builder.name = %builder.name, instance = %leave.instance, left, "builder ends for good");
        return Ok(StatusCode::NO_CONTENT);
    }
    hub.pool.run(move |conn| queue::leave(conn, builder.id, leave.instance)).await?;
    info!(builder.id = %builder.id, builder.name = %builder.name, instance = %leave.instance, "builder hands over");
    Ok(StatusCode::NO_CONTENT)
}
