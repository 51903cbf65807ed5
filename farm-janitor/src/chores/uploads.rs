//! Forgets uploads that nobody went on with.

use std::time::Duration;

use farm_db::blobs;

use super::{Report, Tools};

/// Forgets stale uploads in the database and their bytes in the store.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let idle = tools.config.upload_idle_seconds;
    let forgotten = tools.pool.run(move |conn| blobs::forget_stale_uploads(conn, idle)).await?;
    for id in &forgotten {
        tools.store.forget(*id).await?;
    }
    // What a killed process left without a row in the database.
    tools.store.sweep_staged(Duration::from_secs(u64::from(idle))).await?;
    Ok(Report::done(forgotten.len() as u64))
}
