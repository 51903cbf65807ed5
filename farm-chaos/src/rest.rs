//! How the farm comes to rest once nothing happens to it any more.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::bail;
use tokio::time::sleep;

use crate::{
    farm::Farm,
    operator::Operator,
    questions::{self, Attempt},
};

/// How often to look.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until nothing is under way, nor set aside.
pub async fn come_to_rest(farm: &Farm, operator: &Operator, end: Instant) -> anyhow::Result<()> {
    loop {
        until_nothing_is_under_way(farm, end).await?;
        if !operator.look().await? {
            return Ok(());
        }
    }
}

/// Waits until the janitor has put all logs together, and answers all attempts, with their times as they were before it was hurried.
pub async fn put_logs_together(farm: &Farm, end: Instant) -> anyhow::Result<Vec<Attempt>> {
    let conn = &mut farm.database.connect()?;
    let attempts = questions::attempts(conn)?;
    questions::let_a_minute_pass(conn)?;
    while questions::pieces_of_logs(conn)? > 0 {
        if Instant::now() > end {
            bail!("logs stay in pieces");
        }
        sleep(LOOK).await;
    }
    let logs = questions::attempts(conn)?.into_iter().map(|it| ((it.task, it.number), it.log));
    let logs: HashMap<_, _> = logs.collect();
    let with_log = |it: Attempt| Attempt { log: logs.get(&(it.task, it.number)).copied().flatten(), ..it };
    Ok(attempts.into_iter().map(with_log).collect())
}

async fn until_nothing_is_under_way(farm: &Farm, end: Instant) -> anyhow::Result<()> {
    loop {
        let left: Vec<_> = questions::under_way(&mut farm.database.connect()?)?;
        let left: Vec<_> = left.into_iter().filter(|(_, count)| *count > 0).collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("the farm does not come to rest: {left:?}\n{}", stuck(farm)?.join("\n"));
        }
        sleep(LOOK).await;
    }
}

/// What happened to the first jobs that are not done.
fn stuck(farm: &Farm) -> anyhow::Result<Vec<String>> {
    let conn = &mut farm.database.connect()?;
    let mut lines = Vec::new();
    for job in questions::open_jobs(conn)?.into_iter().take(5) {
        lines.push(format!("job {job}:"));
        lines.extend(questions::history(conn, job)?);
    }
    Ok(lines)
}
