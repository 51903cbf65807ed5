//! The builder's metrics.

use farm_types::Outcome;
use metrics::{counter, gauge, histogram};

use crate::driver::BuildReport;

pub fn slots(all: u32, busy: usize) {
    gauge!("farm_builder_slots").set(f64::from(all));
    gauge!("farm_builder_busy_slots").set(busy as f64);
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
