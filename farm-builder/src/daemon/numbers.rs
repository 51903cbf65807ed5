//! The builder's metrics.

use farm_types::Outcome;
use metrics::{counter, gauge, histogram};

use super::thresholds::Readings;
use crate::driver::BuildReport;

pub fn slots(all: u32, free: u32) {
    gauge!("farm_builder_slots").set(f64::from(all));
    gauge!("farm_builder_busy_slots").set(f64::from(all.saturating_sub(free)));
}

/// What is left of the machine, and whether tasks are taken.
pub fn machine(now: &Readings, takes: bool) {
    gauge!("farm_builder_takes_tasks").set(f64::from(u8::from(takes)));
    gauge!("farm_builder_load").set(f64::from(now.load));
    gauge!("farm_builder_memory_available_bytes").set(now.memory_available as f64);
    gauge!("farm_builder_disk_available_bytes").set(now.disk_available as f64);
    gauge!("farm_builder_disk_available_files").set(now.files_available as f64);
}

pub fn ended(outcome: Outcome) {
    counter!("farm_builder_attempts_total", "outcome" => outcome.as_str()).increment(1);
}

pub fn built(report: &BuildReport) {
    for (stage, time) in &report.stages {
        histogram!("farm_builder_stage_seconds", "stage" => stage.as_str()).record(time.as_secs_f64());
    }
}

pub fn logged(bytes: usize) {
    counter!("farm_builder_log_bytes_total").increment(bytes as u64);
}
