//! What a build may use up on this host: the configuration's word, or what such a machine can well give to each slot.

use std::time::Duration;

use farm_api::limits::Limits;

use super::config::Config;
use crate::driver::BuildLimits;

/// A linker at work on a large program says nothing for long.
const SILENCE: Duration = Duration::from_secs(3600);
/// What the hub takes is more.
const LOG_BYTES: u64 = 128 << 20;
/// As much as the hub takes of one file.
const RESULT_BYTES: u64 = 8 << 30;
/// Less than this, and no compiler runs.
const LEAST_MEMORY: u64 = 512 << 20;

/// Builds give way to the daemon and to whatever else the host is for.
pub fn cpu_weight() -> u16 {
    BuildLimits::default().cpu_weight
}

/// The limits of a build; `asked` are those of its platform and job.
pub fn of_build(config: &Config, asked: Limits) -> BuildLimits {
    let info = rustix::system::sysinfo();
    let memory = u64::from(info.mem_unit) * info.totalram;
    of_host(memory, config.slots, config.cpu_weight, config.limits).lowered_by(asked)
}

fn of_host(memory: u64, slots: u32, cpu_weight: u16, own: Limits) -> BuildLimits {
    let usual = BuildLimits::default();
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    BuildLimits {
        // The hub says how long a build may take.
        timeout: own.timeout_seconds.map_or(Duration::MAX, seconds),
        silence_timeout: own.silence_seconds.map_or(SILENCE, seconds),
        log_bytes: own.log_bytes.unwrap_or(LOG_BYTES),
        result_bytes: own.result_bytes.unwrap_or(RESULT_BYTES),
        results: own.results.unwrap_or(usual.results),
        // A tenth is for the host.
        memory_bytes: own.memory_bytes.unwrap_or_else(|| (memory / 10 * 9 / u64::from(slots.max(1))).max(LEAST_MEMORY)),
        processes: own.processes.unwrap_or(usual.processes),
        cpu_weight,
        disk_bytes: own.disk_bytes.unwrap_or(usual.disk_bytes),
        files: own.files.unwrap_or(usual.files),
    }
}

/// What is wrong with the configuration's own limits.
pub fn problems(limits: &Limits) -> Vec<String> {
    let mut problems = Vec::new();
    let values = [
        ("timeout_seconds", limits.timeout_seconds.map(u64::from)),
        ("silence_seconds", limits.silence_seconds.map(u64::from)),
        ("memory_bytes", limits.memory_bytes),
        ("processes", limits.processes.map(u64::from)),
        ("disk_bytes", limits.disk_bytes),
        ("files", limits.files),
        ("log_bytes", limits.log_bytes),
        ("result_bytes", limits.result_bytes),
        ("results", limits.results.map(u64::from)),
    ];
    for (name, value) in values {
        if value == Some(0) {
            problems.push(format!("limits.{name} is 0: every build would fail"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_share_the_memory_and_a_job_can_only_lower_what_it_gets() {
        let own = Limits { disk_bytes: Some(7 << 30), ..Limits::default() };
        let limits = of_host(100 << 30, 9, 50, own);
        assert_eq!((limits.memory_bytes >> 30, limits.disk_bytes), (10, 7 << 30));
        let asked = Limits { disk_bytes: Some(8 << 30), processes: Some(9), ..Limits::default() };
        let lowered = limits.lowered_by(asked);
        assert_eq!((lowered.disk_bytes, lowered.processes), (7 << 30, 9));
        assert_eq!(of_host(1 << 28, 1, 50, Limits::default()).memory_bytes, LEAST_MEMORY);
    }
}
