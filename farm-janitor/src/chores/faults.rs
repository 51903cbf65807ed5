//! Tells of what the farm has taken out of use, so that somebody looks; and judges those builders again that could not be judged, or not be
//! spared, in the moment in which they spoilt a task.

use farm_db::chores;

use super::{Report, Tools};

/// Judges, and tells.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let faults = tools.pool.run(chores::judge_doubtful).await?;
    let count = |list: &[String]| u32::try_from(list.len()).unwrap_or(u32::MAX);
    metrics::gauge!("farm_builders_out_of_service").set(count(&faults.out));
    metrics::gauge!("farm_builders_doubtful").set(count(&faults.doubts));
    metrics::gauge!("farm_tasks_set_aside").set(faults.set_aside);
    let mut alarms = [faults.doubts, faults.out].concat();
    match faults.set_aside {
        0 => {}
        1 => alarms.push("a task is set aside; `farm-admin set-aside` says which, and why".to_owned()),
        n => alarms.push(format!("{n} tasks are set aside; `farm-admin set-aside` says which, and why")),
    }
    Ok(Report { alarms, ..Report::default() })
}
