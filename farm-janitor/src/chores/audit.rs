//! Tends the audit, which has a table for each month: those to come are there in time, and those that are kept no longer go.

use farm_db::chores::{self, AuditMonths};
use tracing::info;

use super::{Report, Tools};

/// Makes the months ahead, and drops those that an administrator lets go.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let AuditMonths { made, dropped } = tools.pool.run(chores::tend_audit).await?;
    if dropped > 0 {
        info!(dropped, "{dropped} months of the audit were kept long enough");
    }
    Ok(Report::done(u64::from(made) + u64::from(dropped)))
}
