use axum::{Json, extract::State};
use farm_api::{
    error::ErrorCode,
    hub::{Hello, Welcome},
};
use farm_db::queue;
use tracing::info;

use crate::{
    caller::{Caller, Document, Origin, storable},
    error::{HubError, Result},
    hub::Shared,
};

/// A builder comes up.
pub(crate) async fn hello(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Origin(address): Origin,
    Document(hello): Document<Hello>,
) -> Result<Json<Welcome>> {
    if hello.name != builder.name {
        let message = format!("this token belongs to builder {}, not to {}", builder.name, hello.name);
        return Err(HubError::new(ErrorCode::Forbidden, message));
    }
    let hello =
        Hello { version: storable(hello.version), arches: hello.arches.into_iter().map(storable).collect(), ..hello };
    info!(
        builder.id = %builder.id, builder.name = %builder.name, instance = %hello.instance, version = %hello.version,
        slots = hello.slots, "builder came up"
    );
    let come_up = move |conn: &mut _| {
        let lost = queue::hello(conn, builder.id, &address, &hello)?;
        Ok((lost, queue::slots_of(conn, builder.id)?))
    };
    let (lost, slots) = hub.pool.run(come_up).await?;
    if lost > 0 {
        info!(builder.id = %builder.id, lost, "what an earlier life of the builder held went back to the queue");
    }
    Ok(Json(Welcome {
        builder: builder.id,
        lease_seconds: hub.config.lease_seconds,
        renew_seconds: hub.config.renew_seconds,
        slots: Some(slots),
    }))
}
