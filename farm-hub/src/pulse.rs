//! The sign that a hub is there. Leases run out only while one is: see `farm.reap`.

use std::time::Duration;

use farm_db::queue;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::hub::Shared;

/// Signs in the time of a lease. A silence of a third of that time counts, so two may get lost.
const BEATS: u32 = 12;

/// Gives the sign until told to end.
pub(crate) async fn beat(hub: Shared) -> anyhow::Result<()> {
    let lease_seconds = hub.config.lease_seconds;
    let mut ticks = interval(Duration::from_secs(lease_seconds.into()).max(Duration::from_secs(1)) / BEATS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let beats = async {
        loop {
            ticks.tick().await;
            if let Err(error) = hub.reserve.run(move |conn| queue::pulse(conn, lease_seconds)).await {
                warn!(%error, "cannot tell the database that this hub is there");
            }
        }
    };
    hub.shutdown.run_until_cancelled(beats).await;
    Ok(())
}
