//! Reads the log as it streams by, in bounded memory: finds the lines that say why a build failed, and where rpmbuild was.

use std::collections::VecDeque;

use farm_api::hub::LogLine;
use farm_types::Stage;

/// Longer lines are cut to this many bytes.
const LINE_BYTES: usize = 500;
/// Lines in an excerpt.
const EXCERPT_LINES: usize = 20;
/// Telling lines that are kept: the first ones, since the later ones mostly follow from them.
const TELLING_LINES: usize = 10;
/// Last lines that are kept for those who look for something in them.
const TAIL_LINES: usize = 400;
/// Lines of rpmbuild's own summary.
const SUMMARY_LINES: usize = 8;

/// A script of a spec file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Prep,
    Requires,
    Build,
    Install,
    Check,
    Clean,
}

impl Section {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "%mkbuilddir" | "%prep" => Self::Prep,
            "%generate_buildrequires" => Self::Requires,
            "%conf" | "%build" => Self::Build,
            "%install" => Self::Install,
            "%check" => Self::Check,
            "%clean" | "%rmbuild" => Self::Clean,
            _ => return None,
        })
    }

    /// The stage that begins with it.
    const fn stage(self) -> Option<Stage> {
        match self {
            Self::Prep => Some(Stage::Prep),
            Self::Build => Some(Stage::Build),
            Self::Install => Some(Stage::Install),
            Self::Check => Some(Stage::Check),
            Self::Requires | Self::Clean => None,
        }
    }
}

/// What one run of a program has shown so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// The script that rpmbuild has begun last.
    pub began: Option<Section>,
    /// The script that failed, as rpmbuild says.
    pub failed: Option<Section>,
    /// Whether it has begun to write packages.
    pub packaging: bool,
    telling: Vec<LogLine>,
    summary: Vec<LogLine>,
    in_summary: bool,
    /// The last lines, without the summary.
    tail: VecDeque<LogLine>,
}

/// Reads a log.
#[derive(Debug, Default)]
pub struct Scanner {
    line: Vec<u8>,
    begun: bool,
    number: u64,
    seen: Seen,
}

impl Scanner {
    /// Forgets what was seen: another program begins.
    pub fn begin(&mut self) {
        self.seen = Seen::default();
    }

    /// What was seen since [`Scanner::begin`].
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whether the last line has not ended yet.
    pub fn is_in_a_line(&self) -> bool {
        self.begun
    }

    /// Takes the next bytes of the log, to the end of the line with which a stage begins, or all of them. Answers how many it took, and
    /// the stage.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, Option<Stage>) {
        let mut taken = 0;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            taken += part.len();
            let room = LINE_BYTES.saturating_sub(self.line.len());
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            self.line.extend_from_slice(text.get(..room).unwrap_or(text));
            self.begun = true;
            if part.last() == Some(&b'\n')
                && let Some(stage) = self.end_line()
            {
                return (taken, Some(stage));
            }
        }
        (taken, None)
    }

    /// A line of the farm's own that says nothing about the build comes next; answers its number.
    pub fn pass(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn end_line(&mut self) -> Option<Stage> {
        self.number += 1;
        let text = printable(&self.line);
        self.line.clear();
        self.begun = false;
        let reached = self.seen.began;
        self.seen.read(LogLine { number: self.number, text });
        // A build may print such lines itself, but it cannot make the stages go backwards.
        match (self.seen.began, reached) {
            (now, before) if now == before => None,
            (Some(now), _) => now.stage(),
            (None, _) => None,
        }
    }
}

impl Seen {
    fn read(&mut self, line: LogLine) {
        let text = line.text.as_str();
        if let Some(section) = between(text, "Executing(", ")").and_then(Section::from_name) {
            if self.began.is_none_or(|began| (began as u8) <= section as u8) {
                self.began = Some(section);
                self.telling.clear();
            }
            self.in_summary = false;
        } else if text.starts_with("Processing files: ") {
            self.packaging = true;
            self.telling.clear();
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
        if is_telling(text) && self.telling.len() < TELLING_LINES {
            self.telling.push(line.clone());
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// The first line that says why.
    pub fn first_telling(&self) -> Option<&str> {
        self.telling.first().map(|line| line.text.trim())
    }

    /// The lines that say why, in their order.
    pub fn excerpt(&self) -> Vec<LogLine> {
        let mut lines = self.telling.clone();
        lines.extend(self.summary.iter().cloned());
        // Where no line is known to tell anything, the end of the log often does.
        let wanted = if self.telling.is_empty() { EXCERPT_LINES } else { EXCERPT_LINES / 2 };
        let tail = self.tail.iter().rev().filter(|line| !line.text.trim().is_empty());
        lines.extend(tail.take(wanted.saturating_sub(lines.len())).cloned());
        lines.sort_by_key(|line| line.number);
        lines.dedup_by_key(|line| line.number);
        lines
    }

    /// All that is still known of what the program said, for those who look for certain lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.tail.iter().map(|line| line.text.as_str())
    }
}

/// Whether a line is of the kind that says why something failed.
fn is_telling(text: &str) -> bool {
    const ANYWHERE: [&str; 19] = [
        ": error:",
        ": fatal error:",
        ": *** ",
        "configure: error",
        "CMake Error",
        "undefined reference to",
        "command not found",
        "No such file or directory",
        "cannot find -l",
        "FAILED",
        "File not found",
        "nothing provides",
        "No matching package",
        "No match for argument",
        "Installed (but unpackaged) file(s) found",
        "No space left on device",
        "panicked at",
        "Traceback (most recent call last)",
        "BUILD FAILURE",
    ];
    const IN_FRONT: [&str; 9] =
        ["error:", "error[", "Error:", "ERROR:", "FAIL:", "FAIL ", "not ok ", "fatal:", "AssertionError"];
    let text = text.trim_start();
    // What the shell traces (`+ …`) is what is about to happen, not what happened.
    !text.starts_with("+ ")
        && (IN_FRONT.iter().any(|start| text.starts_with(start)) || ANYWHERE.iter().any(|part| text.contains(part)))
}

/// The text between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.split_once(end).map(|(inner, _)| inner)
}

/// A line as a person may read it: no escapes of terminals, no control characters.
pub fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            // What a progress bar has overwritten.
            '\r' if !chars.as_str().is_empty() => out.clear(),
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn skip_escape(chars: &mut std::str::Chars<'_>) {
    if chars.next() == Some('[') {
        for c in chars.by_ref() {
            if ('@'..='~').contains(&c) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Scanner {
        let (mut scanner, mut rest) = (Scanner::default(), text.as_bytes());
        while !rest.is_empty() {
            let (taken, _) = scanner.feed(rest);
            rest = &rest[taken..];
        }
        scanner
    }

    fn numbers(scanner: &Scanner) -> Vec<u64> {
        scanner.seen().excerpt().iter().map(|line| line.number).collect()
    }

    #[test]
    fn stages_are_recognised_also_when_their_line_comes_in_pieces() {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.feed(b"Executing(%pr"), (13, None));
        assert_eq!(scanner.feed(b"ep): /bin/sh -e /var/tmp/rpm-tmp.a\n"), (35, Some(Stage::Prep)));
        assert_eq!(scanner.feed(b"Executing(%build): /bin/sh\nand more"), (27, Some(Stage::Build)));
        assert_eq!(scanner.feed(b"Executing(%prep): a liar\n"), (25, None));
    }

    #[test]
    fn the_first_errors_of_the_failing_stage_and_the_summary_make_the_excerpt() {
        let mut log = String::from("x.c:1: error: of another stage\nExecuting(%build): /bin/sh\n");
        for n in 0..30 {
            log.push_str(&format!("gcc -c {n}.c\nhello.c:{n}: error: no\n"));
        }
        log.push_str("RPM build errors:\n    Bad exit status from /var/tmp/rpm-tmp.a (%build)\n");
        let scanner = scan(&log);
        let excerpt = scanner.seen().excerpt();
        assert_eq!(excerpt.len(), TELLING_LINES + 2, "{excerpt:?}");
        assert_eq!(excerpt[0], LogLine { number: 4, text: "hello.c:0: error: no".into() });
        assert_eq!(scanner.seen().failed, Some(Section::Build));
    }

    #[test]
    fn where_no_line_tells_anything_the_end_of_the_log_is_shown() {
        let log: String = (1..=100).map(|n| format!("line {n}\n")).collect();
        assert_eq!(numbers(&scan(&log)), (81..=100).collect::<Vec<_>>());
    }

    #[test]
    fn lines_are_cut_and_freed_of_escapes() {
        let scanner = scan(&format!("\u{1b}[31merror:\u{1b}[0m \u{7}bad\n{}\n", "é".repeat(100_000)));
        let excerpt = scanner.seen().excerpt();
        assert_eq!(excerpt[0].text, "error: bad");
        assert!(excerpt[1].text.len() <= LINE_BYTES + 3, "{}", excerpt[1].text.len());
        assert_eq!(printable(b"10%\r20%\r100% done\r"), "100% done");
        assert_eq!(printable(b"caf\xe9"), "caf\u{fffd}");
    }
}
