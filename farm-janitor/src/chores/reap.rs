//! Takes back the tasks of builders that went silent.

use farm_db::queue;

use super::{Report, Tools};

/// At most so many leases end in one transaction; the database function has the same number.
const BATCH: u64 = 500;

/// Ends leases that ran out, and puts their tasks back or gives them up.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let grace = tools.config.reap_grace_seconds;
    let done = u64::try_from(tools.pool.run(move |conn| queue::reap(conn, grace)).await?)?;
    metrics::counter!("farm_leases_expired_total").increment(done);
    Ok(Report { done, more: done == BATCH, ..Report::default() })
}
