//! Whether those who want the same get as much.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use crate::{crowd::EQUALS, fake::time_of, judge::Evidence, questions::Task};

/// Fewer builds than that say nothing.
const ENOUGH: usize = 30;
/// How far from an equal share one may be. Who comes first being served first, they would be further from it: what they want is one
/// to two to three to four. Less cannot be asked for, since of each package only one build tells the farm how long it takes.
const BOUND: f64 = 0.10;

/// How the time of builders was shared out while all of the equals had something waiting of what they had lined up.
#[derive(Debug, Clone)]
pub struct Shares {
    /// Each one's part of it.
    pub of: Vec<(&'static str, f64)>,
    /// How many builds that were.
    pub builds: usize,
}

impl Shares {
    /// What is wrong with them, if something is.
    pub fn wrong(&self) -> Option<String> {
        let equal = 1.0 / EQUALS.len() as f64;
        if self.builds < ENOUGH {
            return Some(format!("{} builds are too few to tell who got how much", self.builds));
        }
        let is_unfair = self.of.iter().any(|(_, share)| (share - equal).abs() > BOUND);
        is_unfair.then(|| "those who wanted the same did not get as much".to_owned())
    }
}

/// Something about a task of one of the equals.
enum Step {
    /// It is there.
    Waits,
    /// Its first attempt begins; the one that counts takes so long.
    Begins(Duration),
}

/// Adds up the time of the builds that began while all of them had something waiting.
pub fn shares(evidence: &Evidence) -> Shares {
    let mut waiting: HashMap<&str, i64> = HashMap::new();
    let mut got: HashMap<&str, Duration> = HashMap::new();
    let mut builds = 0;
    for (_, person, step) in steps(evidence) {
        match step {
            Step::Waits => *waiting.entry(person).or_default() += 1,
            Step::Begins(time) => {
                if EQUALS.iter().all(|name| waiting.get(name).is_some_and(|number| *number > 0)) {
                    *got.entry(person).or_default() += time;
                    builds += 1;
                }
                *waiting.entry(person).or_default() -= 1;
            }
        }
    }
    let all: Duration = got.values().sum();
    let share = |name| got.get(name).copied().unwrap_or_default().as_secs_f64() / all.as_secs_f64().max(0.001);
    Shares { of: EQUALS.into_iter().map(|name| (name, share(name))).collect(), builds }
}

/// In the order of time.
fn steps(evidence: &Evidence) -> Vec<(SystemTime, &'static str, Step)> {
    let mut steps = Vec::new();
    for promise in &evidence.promises {
        let Some(person) = EQUALS.into_iter().find(|name| *name == promise.person) else { continue };
        // Later ones stand farther behind for what the builds before them really took: who had all in line before pays that later still.
        let counts = |task: &&Task| task.job == promise.job && task.created < evidence.storm_began;
        for task in evidence.tasks.iter().filter(counts) {
            let mut attempts = evidence.attempts.iter().filter(|attempt| attempt.task == task.id);
            let Some(first) = attempts.next() else { continue };
            let accepted = std::iter::once(first).chain(attempts).find(|attempt| attempt.is_accepted());
            steps.push((task.created, person, Step::Waits));
            // What held it up beside is not the doing of who decides whose turn it is.
            let time = accepted.map(|attempt| time_of(attempt.task, attempt.number)).unwrap_or_default();
            steps.push((first.began, person, Step::Begins(time)));
        }
    }
    steps.sort_by_key(|(at, ..)| *at);
    steps
}
