//! Asks whether everything in the database fits together. What does not is a mistake of ours, so a person has to look.

use farm_db::invariants;

use super::{Report, Tools};

/// Tells of every breach.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    Ok(Report { alarms: preview(tools).await?, ..Report::default() })
}

/// A line for each breach.
pub async fn preview(tools: Tools) -> anyhow::Result<Vec<String>> {
    Ok(tools.pool.run(invariants::check).await?)
}
