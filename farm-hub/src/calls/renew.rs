use std::time::Duration;

use axum::{Json, extract::State};
use farm_api::hub::{Gone, Renew, Renewed};
use farm_db::queue;
use farm_types::BuilderId;
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
    let gone = renew_and_wait(&hub, builder.id, &renew, wait).await?;
    metrics::counter!("farm_renewals_total").increment((renew.leases.len() - gone.len()) as u64);
    for Gone { task, attempt, outcome } in &gone {
        metrics::counter!("farm_leases_gone_total", "outcome" => outcome.as_str()).increment(1);
        info!(task.id = %task, %attempt, builder.id = %builder.id, %outcome, "builder told to stop a build");
    }
    Ok(Json(Renewed { gone }))
}

/// Renewals are gathered for a moment, and orders do not wait for that.
async fn renew_and_wait(hub: &Shared, builder: BuilderId, renew: &Renew, wait: Duration) -> Result<Vec<Gone>> {
    let deadline = Instant::now() + wait;
    let mut orders = hub.orders.subscribe(builder);
    if wait.is_zero() {
        let (renew, lease_seconds) = (renew.clone(), hub.config.lease_seconds);
        return Ok(hub.reserve.run(move |conn| queue::renew(conn, builder, &renew, lease_seconds)).await?);
    }
    let renewal = hub.batches.renewals.run((builder, renew.clone()));
    tokio::pin!(renewal);
    let mut renewed = false;
    loop {
        let gone = tokio::select! {
            gone = &mut renewal, if !renewed => {
                renewed = true;
                gone?
            }
            _ = orders.changed() => {
                let held = renew.leases.clone();
                hub.reserve.run(move |conn| queue::gone(conn, builder, &held)).await?
            }
            () = sleep_until(deadline), if renewed => return Ok(Vec::new()),
            () = hub.shutdown.cancelled(), if renewed => return Ok(Vec::new()),
        };
        if !gone.is_empty() {
            return Ok(gone);
        }
    }
}
