//! How the farm comes to rest once nothing happens to it any more.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::time::sleep;

use crate::{farm::Farm, operator::Operator, questions};

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
