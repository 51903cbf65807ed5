//! How the farm comes to rest once nothing happens to it any more.

use std::time::{Duration, Instant};

use anyhow::bail;
use farm_types::JobId;
use tokio::time::sleep;

use crate::{crowd::Crowd, farm::Farm, people::Promise, questions};

/// How often to look.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until nothing is under way. What the farm gave up though its package builds is built again, as its person would ask for: the
/// farm gives a task three attempts, and three faults may have met it. Answers of which jobs that was.
pub async fn come_to_rest(
    farm: &Farm,
    crowd: &Crowd,
    promises: &[Promise],
    end: Instant,
) -> anyhow::Result<Vec<JobId>> {
    let mut again = Vec::new();
    loop {
        until_nothing_is_under_way(farm, end).await?;
        let given_up = given_up(farm, promises)?;
        if given_up.is_empty() {
            return Ok(again);
        }
        for promise in given_up {
            if let Some(person) = crowd.person(&promise.person) {
                person.retry(promise.job, 0).await?;
                again.push(promise.job);
            }
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

/// Promises whose packages build and were given up by the fault of the farm.
fn given_up(farm: &Farm, promises: &[Promise]) -> anyhow::Result<Vec<Promise>> {
    let tasks = questions::tasks(&mut farm.database.connect()?)?;
    let is_given_up = |promise: &&Promise| {
        promise.plan.builds()
            && tasks
                .iter()
                .any(|task| task.job == promise.job && task.message.starts_with("given up after three attempts"))
    };
    Ok(promises.iter().filter(is_given_up).cloned().collect())
}
