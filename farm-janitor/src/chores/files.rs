//! Forgets who brought which file. Whoever uploads something may build it without uploading it again, but not for ever: else what
//! is in no job would be kept for good.

use farm_db::chores;

use super::{Report, Tools};

/// At most so many are forgotten in one transaction; the database function has the same number.
const BATCH: u64 = 1000;

/// Forgets what nobody asked for in so many days.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let idle = f64::from(tools.config.chores.file_idle_seconds);
    let done = u64::try_from(tools.pool.run(move |conn| chores::forget_files(conn, idle)).await?)?;
    Ok(Report { done, more: done == BATCH, ..Report::default() })
}
