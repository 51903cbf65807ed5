use std::collections::BTreeMap;

use farm_types::Class;

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

/// What the slots of an architecture were given to that became free while somebody at work waited for one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Given {
    /// How many there were.
    pub slots: usize,
    /// How many of them a background task got.
    pub background: usize,
    /// How many seconds went by from one to the next.
    pub every: f64,
}

/// Who got the slots that became free while somebody waited who is not background, for each architecture.
pub fn given(plan: &Plan, built: &[Built]) -> BTreeMap<&'static str, Given> {
    let class = |built: &Built| plan.submissions[built.submission].class;
    let mut given = BTreeMap::new();
    for builder in &plan.builders {
        let here =
            |built: &&Built| plan.submissions[built.submission].platform.ends_with(&format!("-{}", builder.arch));
        let begun: Vec<_> = built.iter().filter(here).collect();
        let waits: Vec<_> = begun.iter().filter(|built| class(built) != Class::Background).collect();
        let waited = |at: f64| waits.iter().any(|built| built.submitted < at && at <= built.started);
        let mut of_arch = Given::default();
        for pair in begun.windows(2).filter(|pair| waited(pair[1].started)) {
            of_arch.slots += 1;
            of_arch.background += usize::from(class(pair[1]) == Class::Background);
            of_arch.every += pair[1].started - pair[0].started;
        }
        of_arch.every /= of_arch.slots.max(1) as f64;
        given.insert(builder.arch, of_arch);
    }
    given
}

/// How long tasks of a class waited.
pub fn waits(plan: &Plan, built: &[Built], class: Class) -> Vec<f64> {
    let of_class = built.iter().filter(|built| plan.submissions[built.submission].class == class);
    of_class.map(|built| built.started - built.submitted).collect()
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
