//! What is kept of the lines of a log.

use std::collections::VecDeque;

use farm_api::hub::LogLine;

use super::{
    rules::{Then, Weight, judge},
    scanner::Section,
};

/// Lines in an excerpt.
const EXCERPT_LINES: usize = 20;
/// Telling lines that are kept: the first ones, since the later ones mostly follow from them.
const TELLING_LINES: usize = 10;
/// The same of what merely follows from something else.
const CONSEQUENCES: usize = 3;
/// Lines of a trace before the last one: what is nearest to the failure.
const TRACE_LINES: usize = 4;
/// Last lines that are kept for those who look for something in them.
const TAIL_LINES: usize = 400;
/// Lines of rpmbuild's own summary.
const SUMMARY_LINES: usize = 8;

/// What one run of a program has shown so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// The script that rpmbuild has begun last.
    pub began: Option<Section>,
    /// The script that failed, as rpmbuild says.
    pub failed: Option<Section>,
    /// Whether it has begun to write packages.
    pub packaging: bool,
    reasons: Clues,
    hints: Clues,
    consequences: Clues,
    /// What the lines to come may belong to.
    following: Option<(Weight, Then)>,
    summary: Vec<LogLine>,
    in_summary: bool,
    /// The last lines, without the summary.
    tail: VecDeque<LogLine>,
}

/// Telling lines of one weight.
#[derive(Debug, Default)]
struct Clues {
    /// The first of them in words, with what it announces.
    headline: Option<String>,
    /// Whether the headline is still being put together.
    open: bool,
    lines: Vec<LogLine>,
}

impl Clues {
    fn add(&mut self, line: &LogLine, most: usize) {
        self.open = self.headline.is_none();
        self.headline.get_or_insert_with(|| line.text.trim().to_owned());
        self.keep(line, most);
    }

    fn keep(&mut self, line: &LogLine, most: usize) {
        if self.lines.len() < most {
            self.lines.push(line.clone());
        }
    }

    /// The headline announces this.
    fn announce(&mut self, line: &LogLine) {
        if let Some(headline) = self.headline.as_mut().filter(|_| self.open && !line.text.trim().is_empty()) {
            headline.push_str(if headline.ends_with(':') { " " } else { ", " });
            headline.push_str(line.text.trim());
        }
    }
}

impl Seen {
    /// Takes the next line.
    pub fn read(&mut self, line: LogLine) {
        let text = line.text.as_str();
        if let Some(section) = between(text, "Executing(", ")").and_then(Section::from_name) {
            if self.began.is_none_or(|began| (began as u8) <= section as u8) {
                self.began = Some(section);
                self.forget();
            }
            self.in_summary = false;
        } else if text.starts_with("Processing files: ") {
            self.packaging = true;
            self.forget();
        } else if text == "RPM build errors:" {
            self.in_summary = true;
            self.summary.clear();
        }
        if text.contains("Bad exit status from ") {
            self.failed =
                text.rsplit_once('(').and_then(|(_, rest)| Section::from_name(rest.trim_end_matches([')', ' '])));
        }
        if self.in_summary {
            if self.summary.len() < SUMMARY_LINES {
                self.summary.push(line);
            }
            return;
        }
        if !self.belongs(&line) {
            self.judge(&line);
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// What went well does not say why the next thing fails.
    fn forget(&mut self) {
        (self.reasons, self.hints, self.consequences) = Default::default();
        self.following = None;
    }

    fn judge(&mut self, line: &LogLine) {
        let Some(verdict) = judge(&line.text) else { return };
        let (clues, most) = self.clues(verdict.weight);
        clues.add(line, most);
        self.following = Some((verdict.weight, verdict.then));
    }

    fn clues(&mut self, weight: Weight) -> (&mut Clues, usize) {
        match weight {
            Weight::Reason => (&mut self.reasons, TELLING_LINES),
            Weight::Hint => (&mut self.hints, TELLING_LINES),
            Weight::Consequence | Weight::Nothing => (&mut self.consequences, CONSEQUENCES),
        }
    }

    /// Whether a line belongs to the telling one before it; then it is kept.
    fn belongs(&mut self, line: &LogLine) -> bool {
        let Some((weight, then)) = self.following.take() else { return false };
        let indented = line.text.starts_with(' ');
        let (clues, most) = self.clues(weight);
        let next = match then {
            Then::Indented(room) if indented && room > 0 => {
                clues.keep(line, most);
                Then::Indented(room - 1)
            }
            Then::Named(room) if indented && room > 0 => {
                clues.keep(line, most);
                clues.announce(line);
                Then::Named(room - 1)
            }
            Then::Next if !line.text.trim().is_empty() => {
                clues.keep(line, most);
                clues.announce(line);
                Then::End
            }
            Then::Trace if indented => {
                let of_trace = clues.lines.iter().rev().take_while(|known| known.text.starts_with(' ')).count();
                if of_trace >= TRACE_LINES {
                    clues.lines.remove(clues.lines.len() - of_trace);
                }
                clues.keep(line, most);
                Then::Trace
            }
            Then::Trace => {
                clues.keep(line, most);
                if clues.open {
                    clues.headline = Some(line.text.trim().to_owned());
                }
                Then::End
            }
            _ => return false,
        };
        if next != Then::End {
            self.following = Some((weight, next));
        }
        true
    }

    /// The first line that says why, with what it announces.
    pub fn first_telling(&self) -> Option<&str> {
        [&self.reasons, &self.hints, &self.consequences].iter().find_map(|clues| clues.headline.as_deref())
    }

    /// The lines that say why, in their order.
    pub fn excerpt(&self) -> Vec<LogLine> {
        let mut lines = self.reasons.lines.clone();
        if lines.is_empty() {
            lines.extend(self.hints.lines.iter().cloned());
        }
        lines.extend(self.summary.iter().cloned());
        // Where no line is known to tell anything, the end of the log often does.
        let nothing = lines.is_empty() && self.consequences.lines.is_empty();
        let wanted = if nothing { EXCERPT_LINES } else { EXCERPT_LINES / 2 };
        let fill = |lines: &Vec<LogLine>| wanted.saturating_sub(lines.len());
        lines.extend(self.consequences.lines.iter().take(fill(&lines)).cloned());
        let tail = self.tail.iter().rev().filter(|line| !line.text.trim().is_empty());
        lines.extend(tail.take(fill(&lines)).cloned());
        lines.sort_by_key(|line| line.number);
        lines.dedup_by_key(|line| line.number);
        lines
    }

    /// All that is still known of what the program said, for those who look for certain lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.tail.iter().map(|line| line.text.as_str())
    }
}

/// The text between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.split_once(end).map(|(inner, _)| inner)
}
