//! What a package of the farm under fire does when it is built, and so what has to come of it in the end.
//!
//! The plan is in the package's name, so that those who hand it in, those who build it and those who judge agree without a word.

use farm_testing::Spec;
use farm_types::{AttemptNumber, TaskId};

/// How long every line of a log is, its end included.
pub const LINE: usize = 64;

/// What a package does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Plan {
    /// It is built.
    Ok,
    /// It is built, and says much.
    Chatty,
    /// It is built, and is large.
    Large,
    /// It does not build, by its own fault.
    Fails,
    /// Its first attempt is spoilt by its builder; then it is built.
    Flaky,
    /// All attempts are spoilt by their builders, until the farm gives up.
    Broken,
    /// It builds until it is cancelled.
    Hangs,
}

impl Plan {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Ok, Self::Chatty, Self::Large, Self::Fails, Self::Flaky, Self::Broken, Self::Hangs];

    /// As the names of packages begin.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Chatty => "chatty",
            Self::Large => "large",
            Self::Fails => "fails",
            Self::Flaky => "flaky",
            Self::Broken => "broken",
            Self::Hangs => "hangs",
        }
    }

    /// The plan of a package of that name.
    pub fn of(name: &str) -> Option<Self> {
        let word = name.split('-').next()?;
        Self::ALL.into_iter().find(|plan| plan.word() == word)
    }

    /// Whether it is built in the end, if nobody withdraws it.
    pub const fn builds(self) -> bool {
        matches!(self, Self::Ok | Self::Chatty | Self::Large | Self::Flaky)
    }

    /// Whether its builder is at fault in that attempt.
    pub const fn is_spoilt(self, attempt: AttemptNumber) -> bool {
        match self {
            Self::Flaky => attempt.0 == 1,
            Self::Broken => true,
            _ => false,
        }
    }

    /// How many lines its log has.
    pub const fn lines(self) -> u64 {
        match self {
            Self::Chatty => 8000,
            Self::Hangs => 2000,
            _ => 60,
        }
    }

    /// A source package with this plan, of its own for each person and number. What a real chroot makes of it agrees.
    pub fn source(self, person: &str, number: usize) -> std::path::PathBuf {
        let spec = Spec::named(&format!("{}-{person}-{number}", self.word()));
        match self {
            Self::Fails => spec.build("echo this one fails; exit 1"),
            Self::Hangs => spec.build("sleep 100000"),
            _ => spec.build("echo at work; sleep 1; echo done"),
        }
        .srpm()
    }
}

/// A line of a log of a builder with the driver of ours: it says itself where it belongs.
pub fn log_line(task: TaskId, attempt: AttemptNumber, number: u64) -> String {
    format!("{:-<63}\n", format!("task {task} attempt {attempt} line {number} "))
}

/// What a package says of the attempt that made it.
pub fn stamp(task: TaskId, attempt: AttemptNumber) -> String {
    format!("made by task {task} attempt {attempt} alone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_found_in_the_name_that_it_gives() {
        for plan in Plan::ALL {
            assert_eq!(Plan::of(&format!("{}-alice-3", plan.word())), Some(plan));
        }
        assert_eq!(Plan::of("bash"), None);
    }

    #[test]
    fn every_line_of_a_log_is_as_long() {
        for (task, line) in [(1, 0), (123_456_789, 999_999)] {
            assert_eq!(log_line(TaskId(task), AttemptNumber(12), line).len(), LINE);
        }
    }
}
