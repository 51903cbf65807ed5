//! Counts what tasks took of persons who hand in nothing just now. Where they do it is counted then; of the others it would lie there for
//! ever.

use farm_db::chores;

use super::{Report, Tools};

/// So many shares at most in one transaction.
const BATCH: u32 = 1000;

/// Counts what was settled since the last time.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let done = u64::try_from(tools.pool.run(|conn| chores::settle_up(conn, BATCH)).await?)?;
    Ok(Report { done, more: done == u64::from(BATCH), ..Report::default() })
}
