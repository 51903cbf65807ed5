//! What a build may use up.

use farm_types::Size;
use jiff::SignedDuration;
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

    /// Sets one bound as people write it: `memory=4G`, `processes=100`, `silence=30m`.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        let (what, amount) = text.split_once('=').ok_or("it takes WHAT=AMOUNT, such as memory=4G")?;
        let bytes = || amount.parse::<Size>().map(|size| Some(size.0)).map_err(|error| error.to_string());
        let number =
            || amount.parse::<u32>().map(Some).map_err(|_| format!("“{}” is no number", amount.escape_debug()));
        let seconds = || {
            let time =
                amount.parse::<SignedDuration>().map_err(|_| "a time has a number and a unit: 30m, 1h".to_owned())?;
            u32::try_from(time.as_secs()).map(Some).map_err(|_| "it is out of range".to_owned())
        };
        match what {
            "time" => self.timeout_seconds = seconds()?,
            "silence" => self.silence_seconds = seconds()?,
            "memory" => self.memory_bytes = bytes()?,
            "processes" => self.processes = number()?,
            "disk" => self.disk_bytes = bytes()?,
            "files" => self.files = number()?.map(u64::from),
            "log" => self.log_bytes = bytes()?,
            "results-size" => self.result_bytes = bytes()?,
            "results" => self.results = number()?,
            _ => {
                let known = "time, silence, memory, processes, disk, files, log, results-size and results";
                return Err(format!("there are {known}"));
            }
        }
        Ok(())
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
    fn each_bound_is_set_by_its_word() {
        let mut limits = Limits::default();
        for text in [
            "time=2h",
            "silence=30m",
            "memory=4G",
            "processes=7",
            "disk=1M",
            "files=8",
            "log=1k",
            "results-size=2k",
            "results=9",
        ] {
            limits.set(text).unwrap();
        }
        let set = limits.named().map(|(_, value)| value.unwrap());
        assert_eq!(set, [7200, 1800, 4 << 30, 7, 1 << 20, 8, 1024, 2048, 9]);
        for bad in ["memory", "memory=much", "processes=-1", "time=90", "speed=1", "=1"] {
            limits.set(bad).unwrap_err();
        }
    }

    #[test]
    fn the_lower_bound_holds_and_an_absent_one_does_not() {
        let platform = Limits { processes: Some(100), files: Some(7), ..Limits::default() };
        let job = Limits { processes: Some(200), memory_bytes: Some(5), ..Limits::default() };
        let both = platform.lowest(job);
        assert_eq!((both.processes, both.files, both.memory_bytes, both.results), (Some(100), Some(7), Some(5), None));
    }
}
