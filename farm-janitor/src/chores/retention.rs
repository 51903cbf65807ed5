//! Removes the files of jobs that their buckets keep no longer (`farm-admin bucket set NAME --keep-…`): sources, results and logs.
//! What is known of the jobs stays, and their pages say why the files are gone. The bytes go with the chore `blobs`.

use farm_db::chores::{self, FilesDue};

use super::{Report, Tools};

/// So many jobs in one transaction.
const BATCH: i32 = 50;

/// Removes the files of some jobs.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let expired = tools.pool.run(|conn| chores::expire_files(conn, BATCH)).await?;
    metrics::counter!("farm_retention_bytes_total").increment(expired.bytes);
    Ok(Report { done: expired.jobs, more: expired.jobs == u64::try_from(BATCH)?, ..Report::default() })
}

/// A line for each job whose files are to go.
pub async fn preview(tools: Tools) -> anyhow::Result<Vec<String>> {
    let due = tools.pool.run(chores::files_due).await?;
    let line = |FilesDue { job, bytes, why }: FilesDue| format!("job {job}: {bytes} bytes would go, {why}");
    Ok(due.into_iter().map(line).collect())
}
