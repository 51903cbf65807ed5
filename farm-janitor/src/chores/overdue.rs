//! Takes back tasks that are over their time though their builders renew.
//!
//! A builder ends a build itself when its time is over. One that has not done so long after is not to be trusted, and says nothing
//! about the package: the attempt is lost with the cause `timeout`, and another builder gets the task. After three of them
//! the task fails, as after three of any faults.

use farm_db::chores;

use super::{Report, Tools};

/// At most so many leases end in one transaction; the database function has the same number.
const BATCH: u64 = 500;

/// Ends attempts that are over their time for longer than the grace.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let grace = tools.config.chores.overdue_grace_seconds;
    let done = u64::try_from(tools.pool.run(move |conn| chores::reap_overdue(conn, grace)).await?)?;
    let alarm = format!(
        "{done} tasks were taken back from builders that had not ended them {grace} seconds after their time was over; look at their attempts"
    );
    Ok(Report { done, more: done == BATCH, alarms: if done > 0 { vec![alarm] } else { Vec::new() } })
}
