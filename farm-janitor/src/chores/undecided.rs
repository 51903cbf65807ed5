//! Looks for jobs that stay submitted: no validator is there, or none can decide. They are not touched, they are told of.

use farm_db::chores;

use super::{Report, Tools};

/// Tells of jobs that wait too long.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let alarms = preview(tools).await?;
    metrics::gauge!("farm_jobs_undecided").set(alarms.len() as f64);
    Ok(Report { alarms, ..Report::default() })
}

/// A line for each such job, a hundred at the most.
pub async fn preview(tools: Tools) -> anyhow::Result<Vec<String>> {
    let age = tools.config.chores.undecided_after_seconds;
    let jobs = tools.pool.run(move |conn| chores::undecided(conn, age)).await?;
    let line = |undecided: chores::Undecided| {
        let chores::Undecided { job, seconds, tries } = undecided;
        let why = match tries {
            0 => "no validator has looked at it: is one running?".to_owned(),
            n => format!("a fault of the farm kept validators from it {n} times: see their logs"),
        };
        format!("job {job} waits for a decision for {seconds} seconds; {why}")
    };
    Ok(jobs.into_iter().map(line).collect())
}
