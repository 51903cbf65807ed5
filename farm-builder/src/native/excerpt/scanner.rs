//! Lines out of the bytes of a log, and where rpmbuild is.

use farm_api::hub::LogLine;
use farm_types::Stage;

use super::{printable::printable, seen::Seen};

/// Longer lines are cut to this many bytes.
const LINE_BYTES: usize = 500;

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
    pub fn from_name(name: &str) -> Option<Self> {
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
        assert_eq!(excerpt.len(), 12, "{excerpt:?}");
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
    }
}
