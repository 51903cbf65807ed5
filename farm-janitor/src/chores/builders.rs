//! Notes which builders have vanished: what they held is reaped, but that they are away is for somebody to see. Those that registered
//! themselves are taken off the list in the end.

use farm_db::chores::{self, Vanished};
use tracing::{info, warn};

use super::{Report, Tools};

/// Notes who is gone, who is back, and who will not come back.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let silence = tools.config.chores.builder_gone_seconds;
    let Vanished { gone, back } = tools.pool.run(move |conn| chores::note_vanished(conn, silence)).await?;
    for name in &gone {
        metrics::counter!("farm_builders_vanished_total").increment(1);
        warn!(builder.name = name, "builder {name} was not heard of for {silence} seconds and counts as vanished");
    }
    for name in &back {
        info!(builder.name = name, "builder {name} does not count as vanished any more");
    }
    let silence = tools.config.chores.builder_left_seconds;
    let left = tools.pool.run(move |conn| chores::deregister_silent(conn, silence)).await?;
    for name in &left {
        info!(
            builder.name = name,
            "builder {name} registered itself, was not heard of for {silence} seconds, and is off the list"
        );
    }
    Ok(Report::done((gone.len() + back.len() + left.len()) as u64))
}
