//! How long each stage of an attempt took, as a bar.

use farm_api::{people::Attempt, record::Usage};
use serde::Serialize;

use super::filters::{bytes, duration};

/// A part of the bar, in percent of its width.
#[derive(Debug, Serialize)]
pub struct StageBar {
    name: &'static str,
    time: String,
    x: f64,
    width: f64,
    /// Neighbours differ.
    odd: usize,
}

/// The stages of an attempt that took any time.
pub fn bar(attempt: &Attempt) -> Vec<StageBar> {
    let total: u64 = attempt.stages.iter().map(|stage| stage.milliseconds).sum();
    let mut before = 0;
    let stages = attempt.stages.iter().enumerate().filter(|(_, stage)| stage.milliseconds > 0);
    stages
        .map(|(n, stage)| {
            let x = percent(before, total);
            before += stage.milliseconds;
            let width = percent(before, total) - x;
            StageBar { name: stage.stage.as_str(), time: time(stage.milliseconds), x, width, odd: n % 5 }
        })
        .collect()
}

/// What an attempt used up, as far as it is known.
pub fn usage(usage: &Usage) -> Vec<String> {
    let memory = usage.peak_memory_bytes.map(|peak| format!("{} of memory", bytes(peak)));
    let processor = usage.cpu_milliseconds.map(|used| format!("{} of the processor", time(used)));
    let disk = usage.written_bytes.map(|written| format!("{} written", bytes(written)));
    [memory, processor, disk].into_iter().flatten().collect()
}

/// To a hundredth, which is less than a pixel.
fn percent(part: u64, total: u64) -> f64 {
    let hundredths = part.saturating_mul(10_000) / total.max(1);
    f64::from(u32::try_from(hundredths).unwrap_or(10_000)) / 100.0
}

fn time(milliseconds: u64) -> String {
    if milliseconds < 10_000 {
        return format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100);
    }
    duration(i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX))
}
