//! What the files of control groups are called in which version, and what is in them.

use super::{Controller, GroupLimits, Kind};

/// What is written into a new group.
pub struct Bound {
    pub controller: Controller,
    pub file: &'static str,
    pub value: String,
    /// Whether a kernel without this file cannot be used.
    pub needed: bool,
}

/// The shares that version 1 gives to what has none of its own; a weight of 100 in version 2.
const SHARES: u64 = 1024;

/// What has to be written for these limits, in order.
pub fn bounds(kind: Kind, limits: &GroupLimits) -> Vec<Bound> {
    let bound = |controller, file, value: u64, needed| Bound { controller, file, value: value.to_string(), needed };
    let memory = limits.memory_bytes;
    let mut bounds = match kind {
        Kind::V2 => vec![
            bound(Controller::Memory, "memory.max", memory, true),
            // A kernel without swap has no such file.
            bound(Controller::Memory, "memory.swap.max", 0, false),
            bound(Controller::Memory, "memory.oom.group", 1, true),
            bound(Controller::Cpu, "cpu.weight", limits.cpu_weight.max(1).into(), false),
        ],
        Kind::V1 => vec![
            bound(Controller::Memory, "memory.limit_in_bytes", memory, true),
            // Memory and swap together, where the kernel counts swap.
            bound(Controller::Memory, "memory.memsw.limit_in_bytes", memory, false),
            bound(Controller::Memory, "memory.swappiness", 0, false),
            bound(Controller::Cpu, "cpu.shares", (u64::from(limits.cpu_weight) * SHARES / 100).max(2), false),
        ],
    };
    bounds.push(bound(Controller::Pids, "pids.max", limits.processes.into(), true));
    bounds
}

/// Where a number stands.
#[derive(Debug, Clone, Copy)]
pub struct Counter {
    pub controller: Controller,
    pub file: &'static str,
    /// The word before it; the file has nothing but the number if there is none.
    pub key: Option<&'static str>,
}

/// How often the kernel has killed for want of memory.
pub const fn memory_kills(kind: Kind) -> Counter {
    let file = match kind {
        Kind::V2 => "memory.events",
        Kind::V1 => "memory.oom_control",
    };
    Counter { controller: Controller::Memory, file, key: Some("oom_kill") }
}

/// The most memory that a group had.
pub const fn peak_memory(kind: Kind) -> Counter {
    let file = match kind {
        Kind::V2 => "memory.peak",
        Kind::V1 => "memory.max_usage_in_bytes",
    };
    Counter { controller: Controller::Memory, file, key: None }
}

/// How often a group was refused a process.
pub const REFUSED_PROCESSES: Counter = Counter { controller: Controller::Pids, file: "pids.events", key: Some("max") };

/// Processor time, in version 2.
pub const CPU_MICROSECONDS: Counter =
    Counter { controller: Controller::Cpu, file: "cpu.stat", key: Some("usage_usec") };

/// Processor time, in version 1.
pub const CPU_NANOSECONDS: Counter =
    Counter { controller: Controller::CpuAccounting, file: "cpuacct.usage", key: None };

/// The number after a word at the beginning of a line, or the only one.
pub fn value(text: &str, key: Option<&str>) -> Option<u64> {
    match key {
        None => text.trim().parse().ok(),
        Some(key) => text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok()),
    }
}

/// All numbers after a word, added up.
pub fn sum_of(text: &str, key: &str) -> u64 {
    text.split_whitespace().filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok()).sum()
}
