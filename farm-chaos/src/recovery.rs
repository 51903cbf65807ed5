//! How long it took after each fault until what it touched came to something again.

use std::time::{Duration, SystemTime};

use farm_types::Outcome;

use crate::{
    fault::{Strike, Target},
    judge::Evidence,
    questions::Attempt,
};

/// The slowest of them: how long, after what.
pub fn slowest(evidence: &Evidence) -> Option<(Duration, String)> {
    let recoveries = evidence.strikes.iter().filter_map(|strike| {
        let next = match strike.plan.target {
            Target::Builder(_) => after_builder(strike, evidence),
            _ => after_all(strike.began, evidence),
        };
        let time = next?.duration_since(strike.began).ok()?;
        Some((time, format!("{}: {}", strike.plan.kind.text(), strike.whom)))
    });
    recoveries.max_by_key(|(time, _)| *time)
}

/// When anything was finished.
fn after_all(began: SystemTime, evidence: &Evidence) -> Option<SystemTime> {
    let finished = evidence.attempts.iter().filter(|attempt| attempt.is_accepted()).filter_map(|attempt| attempt.ended);
    finished.filter(|ended| *ended > began).min()
}

/// When all was finished that the builder was at. (What is withdrawn has no end to wait for.)
fn after_builder(strike: &Strike, evidence: &Evidence) -> Option<SystemTime> {
    let was_at = |attempt: &&Attempt| {
        attempt.builder == strike.whom
            && attempt.began <= strike.began
            && attempt.ended.is_none_or(|ended| ended > strike.began)
    };
    let finished = evidence.attempts.iter().filter(was_at).filter_map(|held| {
        let of_task = evidence.attempts.iter().filter(|attempt| attempt.task == held.task);
        if of_task.clone().any(|attempt| attempt.outcome == Some(Outcome::Cancelled)) {
            return None;
        }
        let ends = of_task.filter(|attempt| attempt.is_accepted()).filter_map(|attempt| attempt.ended);
        ends.filter(|ended| *ended > strike.began).min()
    });
    finished.max()
}
