//! Shows what waits for each platform as metrics, by which builders can be started and stopped.

use farm_db::demand::{Demand, demand};

use super::{Report, Tools};

/// Counts it.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let demand = tools.pool.run(demand).await?;
    measure(&demand);
    let ready = demand.platforms.iter().map(|platform| u64::from(platform.ready())).sum();
    Ok(Report::done(ready))
}

#[expect(clippy::cast_precision_loss, reason = "metrics are f64")]
fn measure(demand: &Demand) {
    for platform in &demand.platforms {
        let name = || platform.name.to_string();
        metrics::gauge!("farm_queue_ready_tasks", "platform" => name(), "class" => "urgent").set(platform.urgent);
        metrics::gauge!("farm_queue_ready_tasks", "platform" => name(), "class" => "normal").set(platform.normal);
        metrics::gauge!("farm_queue_oldest_ready_seconds", "platform" => name())
            .set(platform.oldest_seconds.unwrap_or(0) as f64);
        metrics::gauge!("farm_queue_expected_wait_seconds", "platform" => name()).set(demand.expected_wait(platform));
        metrics::gauge!("farm_slots_used", "platform" => name()).set(platform.used);
        metrics::gauge!("farm_slots_free", "platform" => name()).set(demand.free(&platform.name));
    }
}
