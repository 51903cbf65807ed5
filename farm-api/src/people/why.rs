//! Why a task waits.

use std::fmt;

use farm_types::{BuilderName, TaskId, TaskState, WaitReason};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a task is where it is. Never without a reason.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The task.
    pub task: TaskId,
    /// How it stands.
    pub state: TaskState,
    /// The answer in one word.
    pub reason: WaitReason,
    /// The answer in one sentence.
    pub summary: String,
    /// Tasks of its platform that go before it, counted up to [`Why::MOST`].
    pub ahead: Option<i64>,
    /// Whose tasks those are, the most first; of the thousand that go first.
    #[serde(default)]
    pub people: Vec<PersonAhead>,
    /// When it is expected to begin and to end, while it waits for a builder or has one.
    #[serde(default)]
    pub expected: Option<Expected>,
    /// While it is pending, each builder and why it does not take the task now; those that serve its platform first.
    pub builders: Vec<BuilderVerdict>,
}

impl Why {
    /// Tasks ahead that are counted: so many are that or more.
    pub const MOST: i64 = 10_000;

    /// The summary, where the builders say below why they do not take it.
    pub fn headline(&self) -> &str {
        match self.reason {
            WaitReason::NoBuilder | WaitReason::NoneTakes | WaitReason::Busy if !self.builders.is_empty() => {
                "no builder can take it now"
            }
            _ => &self.summary,
        }
    }

    /// Who is ahead, in words; `None` if nobody is.
    pub fn line(&self) -> Option<String> {
        let ahead = self.ahead.filter(|ahead| *ahead > 0)?;
        let more = if ahead >= Self::MOST { " or more" } else { "" };
        let people: Vec<_> = self.people.iter().take(5).map(ToString::to_string).collect();
        let (people, others) = (people.join(", "), self.people.len().saturating_sub(5));
        let others = if others > 0 { format!(", and {others} more who hand in tasks") } else { String::new() };
        let of = if ahead > 1000 { "of the first 1000, " } else { "" };
        let noun = if ahead == 1 { "task goes" } else { "tasks go" };
        Some(format!("{ahead}{more} {noun} before it on its platform: {of}{people}{others}"))
    }
}

/// Somebody whose tasks go before.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PersonAhead {
    /// Who; `None` for all whose jobs the one who asks may not see.
    pub person: Option<String>,
    /// How many tasks.
    pub tasks: i64,
    /// How many of them are urgent.
    pub urgent: i64,
}

impl fmt::Display for PersonAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.tasks, self.person.as_deref().unwrap_or("others"))?;
        match self.urgent {
            0 => Ok(()),
            all if all == self.tasks => write!(f, " (urgent)"),
            some => write!(f, " ({some} urgent)"),
        }
    }
}

/// What is expected of a task that waits for a builder, or has one. It cannot be known who hands in what meanwhile, nor that builds take
/// what they took before, so the time until it begins is from half to twice of what it would be then. All times are in seconds from now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Expected {
    /// When it begins at the earliest; `None` while no builder serves its platform.
    pub begins_after: Option<u64>,
    /// When it begins at the latest; `None`, too, if more tasks are ahead than are counted.
    pub begins_within: Option<u64>,
    /// How long a builder has been at it; `None` while it waits for one.
    #[serde(default)]
    pub running_for: Option<u64>,
    /// How long it takes in all.
    pub takes: u64,
    /// When it ends at the earliest.
    #[serde(default)]
    pub ends_after: Option<u64>,
    /// When it ends at the latest.
    #[serde(default)]
    pub ends_within: Option<u64>,
    /// How that is known.
    pub basis: String,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (takes, basis) = (span(self.takes), &self.basis);
        match (self.running_for, self.begins_after, self.begins_within) {
            (Some(time), ..) if time >= self.takes => {
                return write!(f, "taking longer than the {takes} that were expected: {basis}");
            }
            (Some(time), ..) => return write!(f, "expected to end in about {}: {basis}", span(self.takes - time)),
            (None, _, Some(0)) => write!(f, "expected to begin at once")?,
            (None, Some(after), Some(within)) => write!(f, "expected to begin in {}", spans(after, within))?,
            (None, Some(after), None) => write!(f, "expected to begin in {} at the earliest", span(after))?,
            (None, None, _) => write!(f, "expected to begin when a builder takes tasks of its platform")?,
        }
        write!(f, ", and to end about {takes} after that: {basis}")
    }
}

/// From one time to another, with one unit where that does.
fn spans(after: u64, within: u64) -> String {
    let (after, within) = (span(after), span(within));
    match (after.split_once(' '), within.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} to {within}"),
        _ => format!("{after} to {within}"),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h", (seconds + 1800) / 3600),
    }
}

/// What one builder has to do with a task.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BuilderVerdict {
    /// Which.
    pub builder: BuilderName,
    /// Whether it could take the task now.
    pub could_take_it: bool,
    /// Why, or why not, in one word.
    pub reason: WaitReason,
    /// The same in words that go behind its name.
    pub summary: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(begins_after: Option<u64>, begins_within: Option<u64>, running_for: Option<u64>) -> String {
        let basis = "so".to_owned();
        let expected = Expected {
            begins_after,
            begins_within,
            running_for,
            takes: 240,
            ends_after: None,
            ends_within: None,
            basis,
        };
        expected.to_string()
    }

    #[test]
    fn what_is_expected_is_told_as_far_as_it_is_known() {
        for (begins_after, begins_within, words) in [
            (None, None, "when a builder takes tasks of its platform"),
            (Some(0), Some(0), "at once"),
            (Some(50), Some(200), "in 50 s to 3 min"),
            (Some(300), Some(1200), "in 5 to 20 min"),
            (Some(3600), Some(14400), "in 60 min to 4 h"),
            (Some(9000), None, "in 3 h at the earliest"),
        ] {
            let words = format!("expected to begin {words}, and to end about 4 min after that: so");
            assert_eq!(expected(begins_after, begins_within, None), words);
        }
        assert_eq!(expected(Some(0), Some(0), Some(60)), "expected to end in about 3 min: so");
        assert_eq!(expected(Some(0), Some(0), Some(240)), "taking longer than the 4 min that were expected: so");
    }

    #[test]
    fn a_line_that_is_longer_than_what_is_counted_says_so() {
        let why = |ahead, people: &[(&str, i64)]| Why {
            task: TaskId(1),
            state: TaskState::Pending,
            reason: WaitReason::Line,
            summary: String::new(),
            ahead: Some(ahead),
            people: people
                .iter()
                .map(|(name, tasks)| PersonAhead { person: Some((*name).to_owned()), tasks: *tasks, urgent: 0 })
                .collect(),
            expected: None,
            builders: Vec::new(),
        };
        assert_eq!(why(0, &[]).line(), None);
        assert_eq!(why(1, &[("al", 1)]).line().unwrap(), "1 task goes before it on its platform: 1 of al");
        let long = why(Why::MOST, &[("al", 600), ("bo", 400)]).line().unwrap();
        assert_eq!(long, "10000 or more tasks go before it on its platform: of the first 1000, 600 of al, 400 of bo");
        let many = why(6, &[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 1)]).line().unwrap();
        assert!(many.ends_with("1 of e, and 1 more who hand in tasks"), "{many}");
    }
}
