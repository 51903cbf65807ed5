//! What came of it all, as a table.

use std::{collections::BTreeMap, fmt, time::Duration};

use farm_types::{JobId, Outcome};

use crate::{
    fault::{Kind, Strike},
    judge::{Evidence, Wrong},
    shares::Shares,
};

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// What everything was drawn from.
    pub seed: u64,
    /// What happened.
    pub strikes: Vec<Strike>,
    /// What could not happen here, and what it takes.
    pub impossible: Vec<(Kind, &'static str)>,
    /// How many answers got lost, and how many requests came twice.
    pub tricks: (u32, u32),
    /// How many jobs were handed in, how many of them twice at the same time, and how many withdrawn.
    pub jobs: (usize, u64, usize),
    /// How many tasks there were.
    pub tasks: usize,
    /// How the attempts ended.
    pub outcomes: BTreeMap<String, usize>,
    /// What the farm gave up after three spoilt attempts, and built when it was asked again.
    pub again: Vec<JobId>,
    /// Jobs that did not end as they had to.
    pub losses: Vec<Wrong>,
    /// Results that were accepted beside another or of an attempt that was lost.
    pub doubles: Vec<Wrong>,
    /// Everything else that is wrong.
    pub wrongs: Vec<Wrong>,
    /// How the builders' time was shared out.
    pub shares: Shares,
    /// The longest time from a fault until what it touched came to something, and what fault.
    pub slowest: Option<(Duration, String)>,
    /// How often a daemon ended by itself and was started again.
    pub own_ends: Vec<String>,
}

impl Report {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.losses.is_empty() && self.doubles.is_empty() && self.wrongs.is_empty()
    }

    /// Everything that is wrong.
    pub fn all_wrongs(&self) -> impl Iterator<Item = &Wrong> {
        self.losses.iter().chain(&self.doubles).chain(&self.wrongs)
    }

    /// How the attempts of a farm ended.
    pub fn outcomes_of(evidence: &Evidence) -> BTreeMap<String, usize> {
        let mut outcomes = BTreeMap::new();
        for attempt in &evidence.attempts {
            let outcome = attempt.outcome.map_or("running", Outcome::as_str);
            *outcomes.entry(outcome.to_owned()).or_default() += 1;
        }
        outcomes
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |what: &str, value: String| writeln!(f, "{what:<38} {value:>10}");
        row("faults", self.strikes.len().to_string())?;
        let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
        self.strikes.iter().for_each(|strike| *kinds.entry(strike.plan.kind).or_default() += 1);
        for (kind, times) in kinds {
            row(&format!("  {}", kind.text()), times.to_string())?;
        }
        for (kind, what) in &self.impossible {
            row(&format!("  {}", kind.text()), format!("takes {what}"))?;
        }
        row("  answers that got lost", self.tricks.0.to_string())?;
        row("  requests that came twice", self.tricks.1.to_string())?;
        row("jobs", self.jobs.0.to_string())?;
        row("  handed in twice at once", self.jobs.1.to_string())?;
        row("  withdrawn", self.jobs.2.to_string())?;
        row("tasks", self.tasks.to_string())?;
        row("attempts", self.outcomes.values().sum::<usize>().to_string())?;
        for (outcome, times) in &self.outcomes {
            row(&format!("  {outcome}"), times.to_string())?;
        }
        row("given up, and built when asked again", self.again.len().to_string())?;
        for (who, share) in &self.shares.of {
            row(&format!("share of {who}"), format!("{:.1} %", share * 100.0))?;
        }
        row("  of so many builds", self.shares.builds.to_string())?;
        row("losses", self.losses.len().to_string())?;
        row("doubles", self.doubles.len().to_string())?;
        row("otherwise wrong", self.wrongs.len().to_string())?;
        if let Some((time, after)) = &self.slowest {
            row("slowest recovery", format!("{:.1} s", time.as_secs_f64()))?;
            row("  after", after.clone())?;
        }
        row("daemons that ended by themselves", self.own_ends.len().to_string())?;
        for end in &self.own_ends {
            row(&format!("  {end}"), String::new())?;
        }
        row("seed", self.seed.to_string())
    }
}
