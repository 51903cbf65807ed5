use std::collections::BTreeMap;

use crate::{Built, Plan};

/// When the last task was built.
pub fn makespan(built: &[Built]) -> f64 {
    built.iter().map(|built| built.ended).fold(0.0, f64::max)
}

/// No order of the tasks is done before this: for each architecture what there is to do from some submission on, spread over all slots, and
/// each single task.
pub fn bound(plan: &Plan, built: &[Built]) -> f64 {
    let longest = built.iter().map(|built| built.submitted + plan.submissions[built.submission].seconds);
    let mut latest = longest.fold(0.0, f64::max);
    let mut slots = BTreeMap::<_, u32>::new();
    for builder in &plan.builders {
        *slots.entry(builder.arch).or_default() += builder.count * builder.slots;
    }
    for (arch, slots) in slots {
        let mut here: Vec<_> = built
            .iter()
            .filter(|built| plan.submissions[built.submission].platform.ends_with(&format!("-{arch}")))
            .collect();
        here.sort_by(|a, b| b.submitted.total_cmp(&a.submitted));
        let mut left = 0.0;
        for built in here {
            left += plan.submissions[built.submission].seconds;
            latest = f64::max(latest, built.submitted + left / f64::from(slots));
        }
    }
    latest
}

/// The build time of each person among some of what was built.
pub fn build_time<'a>(plan: &Plan, built: impl IntoIterator<Item = &'a Built>) -> BTreeMap<String, f64> {
    let mut times = BTreeMap::new();
    for built in built {
        let submission = &plan.submissions[built.submission];
        *times.entry(submission.person.clone()).or_insert(0.0) += submission.seconds;
    }
    times
}

/// How some durations are spread, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    /// Half are shorter.
    pub p50: f64,
    /// 95 of 100 are shorter.
    pub p95: f64,
    /// 99 of 100 are shorter.
    pub p99: f64,
    /// None is longer.
    pub max: f64,
}

impl Percentiles {
    /// Of these; there has to be one.
    pub fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        let at = |part: f64| all[((all.len() - 1) as f64 * part).round() as usize];
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
    }
}

impl std::fmt::Display for Percentiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.1} s, p95 {:.1} s, p99 {:.1} s, max {:.1} s", self.p50, self.p95, self.p99, self.max)
    }
}
