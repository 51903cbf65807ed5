//! Notes which builders have vanished: what they held is reaped, but that they are away is for somebody to see.

use farm_db::chores::{self, Vanished};
use tracing::{info, warn};

use super::{Report, Tools};

/// Notes who is gone and who is back.
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
    Ok(Report::done((gone.len() + back.len()) as u64))
}
