use std::sync::Arc;

use axum::{Json, extract::State};
use farm_api::hub::{Gone, Renew, Renewed};
use farm_db::queue;
use tokio::time::{Instant, sleep_until};
use tracing::info;

use crate::{
    caller::{Caller, Document},
    error::Result,
    hub::Shared,
};

/// Renews all leases of a builder, then waits for orders: some of them are gone.
pub(crate) async fn renew(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Document(renew): Document<Renew>,
) -> Result<Json<Renewed>> {
    // Whoever waited longer would come too late for the next renewal.
    let wait = super::wait(renew.wait_seconds.min(hub.config.renew_seconds));
    let deadline = Instant::now() + wait;
    let mut orders = hub.orders.subscribe(builder.id);
    let renew = Arc::new(renew);
    let lease_seconds = hub.config.lease_seconds;
    let first = Arc::clone(&renew);
    let mut gone = hub.reserve.run(move |conn| queue::renew(conn, builder.id, &first, lease_seconds)).await?;
    metrics::counter!("farm_renewals_total").increment((renew.leases.len() - gone.len()) as u64);
    while gone.is_empty() {
        tokio::select! {
            _ = orders.changed() => {}
            () = sleep_until(deadline) => break,
            () = hub.shutdown.cancelled() => break,
        }
        let held = Arc::clone(&renew);
        gone = hub.reserve.run(move |conn| queue::gone(conn, builder.id, &held.leases)).await?;
    }
    for Gone { task, attempt, outcome } in &gone {
        metrics::counter!("farm_leases_gone_total", "outcome" => outcome.as_str()).increment(1);
        info!(task.id = %task, %attempt, builder.id = %builder.id, %outcome, "builder told to stop a build");
    }
    Ok(Json(Renewed { gone }))
}
