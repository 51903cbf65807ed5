//! What came out of a self test.

use std::time::Duration;

use farm_api::{
    hub::LogLine,
    people::{Job, Task},
};
use farm_types::{JobId, PlatformName, Stage};
use jiff::Timestamp;
use serde::Serialize;

use crate::output::{self, shown};

/// All of a build, as the farm sees it.
const FINISHED: &str = "claim to finish";

/// Everything there is to say.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The farm.
    pub server: String,
    /// The job.
    pub job: Option<JobId>,
    /// Whether every platform built the package, and the packages are right.
    pub ok: bool,
    /// How long each step took, in order.
    pub steps: Vec<Step>,
    /// What went wrong.
    pub troubles: Vec<Trouble>,
}

/// One step.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// Where; absent when it is the same for all.
    pub platform: Option<PlatformName>,
    /// What was done.
    pub step: String,
    /// How long it took.
    pub milliseconds: u64,
}

/// Something that went wrong.
#[derive(Debug, Serialize)]
pub(super) struct Trouble {
    /// Where; absent when it is the same for all.
    pub platform: Option<PlatformName>,
    /// Which process, or what else, is to blame.
    pub blame: String,
    /// What happened, in a sentence.
    pub what: String,
    /// The lines of the log that say why.
    pub excerpt: Vec<LogLine>,
    /// The address of the whole log.
    pub log: Option<String>,
}

impl Report {
    pub(super) fn of(server: &str) -> Self {
        Self { server: server.to_owned(), job: None, ok: false, steps: Vec::new(), troubles: Vec::new() }
    }

    /// A step that is the same for all platforms.
    pub(super) fn common(&mut self, step: &str, took: Duration) {
        self.steps.push(Step { platform: None, step: step.to_owned(), milliseconds: whole(took.as_millis()) });
    }

    /// A step on one platform.
    pub(super) fn at(&mut self, platform: &PlatformName, step: &str, took: Duration) {
        let milliseconds = whole(took.as_millis());
        self.steps.push(Step { platform: Some(platform.clone()), step: step.to_owned(), milliseconds });
    }

    /// What the farm itself says on how long its steps took.
    pub(super) fn take_times(&mut self, job: &Job) {
        if let Some(validated) = job.tasks.iter().map(|task| task.created).min() {
            self.steps.push(Step {
                platform: None,
                step: "validated".to_owned(),
                milliseconds: between(job.submitted, validated),
            });
        }
        for task in &job.tasks {
            self.take_task(task);
        }
    }

    fn take_task(&mut self, task: &Task) {
        let mut add = |step: &str, milliseconds| {
            self.steps.push(Step { platform: Some(task.platform.clone()), step: step.to_owned(), milliseconds });
        };
        let (Some(first), Some(last)) = (task.attempts.first(), task.attempts.last()) else { return };
        add("claimed", between(task.created, first.started));
        for stage in &last.stages {
            add(stage.stage.as_str(), stage.milliseconds);
        }
        if let Some(finished) = task.finished {
            add(FINISHED, between(first.started, finished));
        }
    }

    /// Prints it for people: the steps downwards, a column per platform.
    pub(super) fn print(&self) {
        let columns = self.columns();
        let mut header: Vec<_> = std::iter::once("STEP (ms)").chain(columns.iter().map(|p| p.as_str())).collect();
        if columns.is_empty() {
            header.push("");
        }
        output::table(&header, &self.rows(&columns));
        for trouble in &self.troubles {
            println!("\n{}", trouble.lines().join("\n"));
        }
        if self.ok {
            println!("\nThe farm works.");
        }
    }

    fn columns(&self) -> Vec<&PlatformName> {
        let mut columns = Vec::new();
        for platform in self.steps.iter().filter_map(|step| step.platform.as_ref()) {
            if !columns.contains(&platform) {
                columns.push(platform);
            }
        }
        columns
    }

    /// A step that is the same for all stands in the first column only.
    fn rows(&self, columns: &[&PlatformName]) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let width = columns.len().max(1);
        for Step { platform, step, milliseconds } in &self.steps {
            let column = platform.as_ref().and_then(|p| columns.iter().position(|c| *c == p)).unwrap_or(0);
            let row = match rows.iter().position(|row| row[0] == *step) {
                Some(row) => row,
                None => {
                    rows.push(std::iter::once(step.clone()).chain(std::iter::repeat_n(String::new(), width)).collect());
                    rows.len() - 1
                }
            };
            rows[row][column + 1] = format!("{milliseconds:>7}");
        }
        rows.sort_by_key(|row| place(&row[0]));
        rows
    }
}

impl Trouble {
    /// As lines for people. What builds and builders say is made fit for a terminal.
    fn lines(&self) -> Vec<String> {
        let at = self.platform.as_ref().map(|platform| format!("{platform}: ")).unwrap_or_default();
        let mut lines = vec![format!("{at}{}", shown(&self.what)), format!("  to blame: {}", shown(&self.blame))];
        lines.extend(self.excerpt.iter().map(|line| format!("  {:>6} | {}", line.number, shown(&line.text))));
        lines.extend(self.log.as_ref().map(|log| format!("  whole log: {}", shown(log))));
        lines
    }
}

/// Where a step stands: one platform may have a stage that passed too fast to be seen on another.
fn place(step: &str) -> usize {
    const BEFORE: [&str; 5] = ["packed", "uploaded", "submitted", "validated", "claimed"];
    const AFTER: [&str; 2] = [FINISHED, "downloaded"];
    let stages = Stage::ALL.iter().map(|stage| stage.as_str());
    let mut order = BEFORE.into_iter().chain(stages).chain(AFTER);
    order.position(|known| known == step).unwrap_or(usize::MAX)
}

fn between(from: Timestamp, to: Timestamp) -> u64 {
    whole(to.duration_since(from).as_millis())
}

/// Clocks that disagree make no time negative.
fn whole(milliseconds: impl TryInto<u64>) -> u64 {
    milliseconds.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_below_each_other_and_platforms_side_by_side() {
        let mut report = Report::of("http://127.0.0.1/");
        report.common("uploaded", Duration::from_millis(12));
        for (platform, step, took) in [("a-x86_64", "check", 5), ("b-x86_64", "check", 1234), ("b-x86_64", "prep", 6)] {
            report.at(&platform.parse().unwrap(), step, Duration::from_millis(took));
        }
        let rows = report.rows(&report.columns());
        assert_eq!(rows, [["uploaded", "     12", ""], ["prep", "", "      6"], ["check", "      5", "   1234"]]);
    }

    #[test]
    fn what_a_build_says_does_nothing_to_a_terminal() {
        let escape = "\u{1b}]0;title\u{7}\u{1b}[2J\u{202e}";
        let trouble = Trouble {
            platform: None,
            blame: escape.to_owned(),
            what: escape.to_owned(),
            excerpt: vec![LogLine { number: 7, text: escape.to_owned() }],
            log: Some(escape.to_owned()),
        };
        let lines = trouble.lines();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| !line.contains(|c: char| c.is_control() || c == '\u{202e}')), "{lines:?}");
    }

    #[test]
    fn a_clock_that_went_back_gives_no_negative_time() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(between(at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:00Z")), 0);
        assert_eq!(between(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00.25Z")), 250);
    }
}
