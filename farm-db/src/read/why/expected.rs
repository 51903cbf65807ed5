use farm_api::people::{BuilderVerdict, Expected, Why};
use farm_types::TaskState;

use super::facts::{Candidate, Facts, History};

/// When the task is expected to begin and to end, as far as that is known.
pub(super) fn expected(facts: &Facts, verdicts: &[BuilderVerdict]) -> Option<Expected> {
    let begins = match facts.state {
        TaskState::Pending if facts.enabled && !facts.backing_off => begins(facts, verdicts)?,
        TaskState::Leased => Some((0, Some(0))),
        _ => return None,
    };
    let takes = seconds(facts.history.seconds);
    let running_for = facts.running_for.filter(|_| facts.state == TaskState::Leased).map(seconds);
    let left = takes.saturating_sub(running_for.unwrap_or_default());
    Some(Expected {
        begins_after: begins.map(|(after, _)| after),
        begins_within: begins.and_then(|(_, within)| within),
        running_for,
        takes,
        ends_after: begins.map(|(after, _)| after + left),
        ends_within: begins.and_then(|(_, within)| within).map(|within| within + left),
        basis: basis(&facts.history),
    })
}

/// As if those ahead and what runs were divided among the slots of all who serve the platform: from half of that to twice.
#[expect(clippy::option_option, reason = "there is no line; nobody serves the platform")]
fn begins(facts: &Facts, verdicts: &[BuilderVerdict]) -> Option<Option<(u64, Option<u64>)>> {
    let line = facts.line.as_ref()?;
    let takers = || facts.builders.iter().filter(|candidate| candidate.takes_tasks());
    let slots: u32 = takers().map(|candidate| candidate.slots_for(facts)).sum();
    let room = verdicts.iter().any(|verdict| verdict.could_take_it);
    let running: u64 = takers().map(|candidate: &Candidate| candidate.running).sum();
    let middle = match slots {
        0 => return Some(None),
        _ if line.ahead == 0 && room => 0,
        slots => ((line.cost + running) / u64::from(slots) / 1000).max(60),
    };
    // Where not all are counted, it is not known how long it takes at the most.
    Some(Some((middle / 2, (line.ahead < Why::MOST).then_some(middle * 2))))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds that are expected")]
fn seconds(time: f64) -> u64 {
    time.round() as u64
}

fn basis(history: &History) -> String {
    match (history.here, history.builds.unwrap_or_default()) {
        (here, builds) if here == history.sources && here == 1 => {
            format!(
                "known from {builds} {} of this package on this platform",
                if builds == 1 { "build" } else { "builds" }
            )
        }
        (here, _) if here == history.sources => "known from builds of these packages on this platform".to_owned(),
        (0, _) if history.elsewhere == 0 => "nothing was built before, so a minute for each package".to_owned(),
        _ => "partly known from other platforms, and a minute for each package that was never built".to_owned(),
    }
}
