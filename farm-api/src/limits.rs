//! What a build may use up.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Bounds of one build. The same words are in a platform's recipe, in a job, and in what the hub hands to a builder. What is
/// absent is not bounded here: somebody else's bound holds, in the end the builder's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Seconds, from the first step inside the chroot to the last, all sources together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// Seconds between two outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_seconds: Option<u32>,
    /// Bytes of memory, of all processes together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Bytes written into the chroot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Files and folders made in the chroot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Bytes of log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_bytes: Option<u64>,
    /// Bytes of packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// Number of packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<u32>,
}

impl Limits {
    /// Everything that is wrong with them: a bound of nothing is a build that cannot be.
    pub fn problems(&self) -> Vec<String> {
        let zero = |(name, value): &(&str, Option<u64>)| {
            (*value == Some(0)).then(|| format!("{name} is 0: no build could succeed"))
        };
        self.named().iter().filter_map(zero).collect()
    }

    /// Each bound under its name, in the order in which they are shown.
    pub fn named(&self) -> [(&'static str, Option<u64>); 9] {
        [
            ("timeout_seconds", self.timeout_seconds.map(u64::from)),
            ("silence_seconds", self.silence_seconds.map(u64::from)),
            ("memory_bytes", self.memory_bytes),
            ("processes", self.processes.map(u64::from)),
            ("disk_bytes", self.disk_bytes),
            ("files", self.files),
            ("log_bytes", self.log_bytes),
            ("result_bytes", self.result_bytes),
            ("results", self.results.map(u64::from)),
        ]
    }

    /// The lower of two bounds, each.
    #[must_use]
    pub fn lowest(self, other: Self) -> Self {
        Self {
            timeout_seconds: lower(self.timeout_seconds, other.timeout_seconds),
            silence_seconds: lower(self.silence_seconds, other.silence_seconds),
            memory_bytes: lower(self.memory_bytes, other.memory_bytes),
            processes: lower(self.processes, other.processes),
            disk_bytes: lower(self.disk_bytes, other.disk_bytes),
            files: lower(self.files, other.files),
            log_bytes: lower(self.log_bytes, other.log_bytes),
            result_bytes: lower(self.result_bytes, other.result_bytes),
            results: lower(self.results, other.results),
        }
    }
}

fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_bound_holds_and_an_absent_one_does_not() {
        let platform = Limits { processes: Some(100), files: Some(7), ..Limits::default() };
        let job = Limits { processes: Some(200), memory_bytes: Some(5), ..Limits::default() };
        let both = platform.lowest(job);
        assert_eq!((both.processes, both.files, both.memory_bytes, both.results), (Some(100), Some(7), Some(5), None));
    }
}
