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
    let wanted = match status.reason {
        // What is on its way to it, or would be soon, is to be stopped at once.
        Some(_) => hub.pool.run(move |conn| queue::tell_status(conn, builder.id, &status)).await?,
        None => hub.batches.statuses.run((builder.id, status)).await?,
    };
    Ok(Json(wanted))
}
