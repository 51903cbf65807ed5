//! Looks how the database is: old snapshots, dead rows of hot tables, indexes, how much waits.

use farm_db::database::{self, DatabaseHealth};

use super::{Report, Tools};

/// Looks, shows it as metrics, and tells of what somebody has to look at.
pub async fn run_once(tools: Tools) -> anyhow::Result<Report> {
    let health = tools.pool.run(database::look).await?;
    measure(&health);
    Ok(Report { alarms: health.alarms(), ..Report::default() })
}

/// What somebody has to look at.
pub async fn preview(tools: Tools) -> anyhow::Result<Vec<String>> {
    Ok(tools.pool.run(database::look).await?.alarms())
}

#[expect(clippy::cast_precision_loss, reason = "metrics are f64")]
fn measure(health: &DatabaseHealth) {
    let oldest = health.snapshots.first().map_or(0, |snapshot| snapshot.seconds);
    metrics::gauge!("farm_database_oldest_snapshot_seconds").set(oldest as f64);
    metrics::gauge!("farm_database_transactions_left").set(health.transactions_left as f64);
    metrics::gauge!("farm_database_invalid_indexes").set(health.invalid_indexes.len() as f64);
    metrics::gauge!("farm_database_unused_indexes").set(health.unused_indexes.len() as f64);
    for table in &health.tables {
        metrics::gauge!("farm_database_dead_rows", "table" => table.name.clone()).set(table.dead as f64);
        metrics::gauge!("farm_database_live_rows", "table" => table.name.clone()).set(table.live as f64);
        metrics::gauge!("farm_database_table_bytes", "table" => table.name.clone()).set(table.bytes as f64);
    }
    metrics::gauge!("farm_queue_ready").set(health.queue.ready as f64);
    metrics::gauge!("farm_queue_leased").set(health.queue.leased as f64);
    metrics::gauge!("farm_queue_submitted").set(health.queue.submitted as f64);
}
