//! What came of it all, as a table.

use std::{collections::BTreeMap, fmt, time::Duration};

use farm_types::Outcome;

use crate::{
    farm::Farm,
    fault::Kind,
    judge::{Evidence, Wrong},
    operator::PutBack,
    recovery,
    settings::Settings,
    shares::{Shares, shares},
};

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// What everything was drawn from.
    pub seed: u64,
    /// How often what happened.
    pub faults: BTreeMap<Kind, usize>,
    /// What could not happen here, and what it takes.
    pub impossible: Vec<(Kind, &'static str)>,
    /// How many answers got lost, and how many requests came twice.
    pub tricks: (u32, u32),
    /// How many jobs were handed in, how many of them twice at the same time, and how many withdrawn.
    pub jobs: (usize, u64, usize),
    /// How many tasks there were.
    pub tasks: usize,
    /// How the attempts ended.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// Of how many attempts a part of the log was acknowledged, and of how many of these nothing came; and of how many the end was.
    pub acknowledged: (usize, usize, usize),
    /// What an administrator put back meanwhile.
    pub put_back: PutBack,
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

    /// Judges.
    pub async fn of(
        farm: &Farm,
        settings: &Settings,
        evidence: &Evidence,
        wrongs: Vec<String>,
        (twice, put_back): (u64, PutBack),
    ) -> anyhow::Result<Self> {
        let mut wrongs: Vec<_> = wrongs.into_iter().map(|what| Wrong { job: None, what }).collect();
        wrongs.extend(evidence.all_wrongs().await?);
        let shares = shares(evidence);
        wrongs.extend(shares.wrong().map(|what| Wrong { job: None, what }));
        let withdrawn = evidence.promises.iter().filter(|promise| promise.cancelled).count();
        let ends =
            farm.units().flat_map(|unit| unit.own_ends().into_iter().map(|end| format!("{}: {end}", unit.name())));
        Ok(Self {
            seed: settings.seed,
            faults: counted(evidence.strikes.iter().map(|strike| strike.plan.kind)),
            impossible: Kind::ALL.into_iter().filter_map(|kind| Some((kind, kind.lacks(farm)?))).collect(),
            tricks: farm.ways().fold((0, 0), |(lost, doubled), way| {
                let more = way.tricks_done();
                (lost + more.0, doubled + more.1)
            }),
            jobs: (evidence.promises.len(), twice, withdrawn),
            tasks: evidence.tasks.len(),
            outcomes: counted(
                evidence.attempts.iter().map(|attempt| attempt.outcome.map_or("running", Outcome::as_str)),
            ),
            acknowledged: evidence.counts_of_acknowledged(),
            put_back,
            losses: evidence.losses(),
            doubles: evidence.doubles(),
            wrongs,
            slowest: recovery::slowest(evidence),
            shares,
            own_ends: ends.collect(),
        })
    }

    /// Everything that is wrong.
    pub fn all_wrongs(&self) -> impl Iterator<Item = &Wrong> {
        self.losses.iter().chain(&self.doubles).chain(&self.wrongs)
    }
}

/// How often each of them is there.
fn counted<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut times = BTreeMap::new();
    all.for_each(|one| *times.entry(one).or_default() += 1);
    times
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |what: &str, value: String| writeln!(f, "{what:<38} {value:>10}");
        row("faults", self.faults.values().sum::<usize>().to_string())?;
        for (kind, times) in &self.faults {
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
        row("tasks set aside, and put back", self.put_back.tasks.to_string())?;
        row("builders out of service, and put back", self.put_back.builders.to_string())?;
        row("logs that were acknowledged", self.acknowledged.0.to_string())?;
        row("  of attempts of which nothing came", self.acknowledged.1.to_string())?;
        row("ends that were acknowledged", self.acknowledged.2.to_string())?;
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
