use axum::{extract::State, http::StatusCode};
use farm_api::hub::StageBegan;
use farm_db::queue;

use crate::{
    caller::{Caller, Document, Held},
    error::Result,
    hub::Shared,
};

/// The attempt has come to its next stage.
pub(crate) async fn stage(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Held(key): Held,
    Document(began): Document<StageBegan>,
) -> Result<StatusCode> {
    hub.pool.run(move |conn| queue::stage_began(conn, builder.id, &key, began.stage)).await?;
    Ok(StatusCode::NO_CONTENT)
}
