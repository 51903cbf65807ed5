//! Forgets tokens and sessions that are not good any more.

use farm_db::access;

use super::{Report, Tools};

/// Forgets what expired an hour ago; nobody is let in by it since then.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let done = tools.pool.run(access::forget_tokens).await?;
    Ok(Report::done(u64::try_from(done)?))
}
