use axum::{Json, extract::State};
use farm_api::hub::{Status, Wanted};
use farm_db::queue;

use crate::{
    caller::{Caller, Document, storable},
    error::{HubError, Result},
    hub::Shared,
};

/// A builder says how it stands, and is told what is wanted of it.
pub(crate) async fn status(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Document(status): Document<Status>,
) -> Result<Json<Wanted>> {
    if !status.load.is_finite() {
        return Err(HubError::bad_request("the load is no number"));
    }
    let status = Status { reason: status.reason.map(storable), ..status };
    Ok(Json(hub.pool.run(move |conn| queue::tell_status(conn, builder.id, &status)).await?))
}
