//! Follows the logs that mock writes while it runs.

use std::{
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use farm_types::Stage;
use rustix::fs::OFlags;

use super::phase::{Phase, installs_requirements};
use crate::native::{
    excerpt::printable,
    watch::{FollowError, Journal},
};

/// The most that is read of a log at once, and how long a line may be before it is passed on without its end.
const CHUNK: usize = 64 << 10;

/// The most that is read of a log before the clocks are looked at again.
const TURN: usize = 4 << 20;

/// The most that is shown of what mock printed on its console.
const CONSOLE: u64 = 16 << 10;

/// A log that grows.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    /// Tells when another file has taken its name.
    inode: u64,
    offset: u64,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
}

impl Tail {
    fn new(path: PathBuf) -> Self {
        Self { path, inode: 0, offset: 0, rest: Vec::new() }
    }

    /// The next whole lines; at the end of it all, also the last without an end. `None` if there is nothing new.
    fn read(&mut self, is_over: bool) -> io::Result<Option<Bytes>> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let mut file = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let inode = file.metadata()?.ino();
        if inode != self.inode {
            (self.inode, self.offset) = (inode, 0);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut block = vec![0; CHUNK - self.rest.len().min(CHUNK - 1)];
        let n = file.read(&mut block)?;
        self.offset += n as u64;
        self.rest.extend_from_slice(block.get(..n).unwrap_or_default());
        let whole = match self.rest.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None if self.rest.len() >= CHUNK || (is_over && n == 0) => self.rest.len(),
            None => 0,
        };
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        Ok(if lines.is_empty() && n == 0 { None } else { Some(lines.into()) })
    }
}

/// The logs of one run of mock, and what they have shown.
#[derive(Debug)]
pub struct Logs {
    state: Tail,
    root: Tail,
    build: Tail,
    /// Which log the farm's has its last lines from.
    shown: &'static str,
    /// The phase that mock is in.
    pub phase: Phase,
    /// When it began.
    pub phase_began: Instant,
    /// Whether it is installing what the package needs.
    pub installing: bool,
    /// When one of the logs grew last.
    pub last_word: Instant,
}

impl Logs {
    /// Logs in a folder that is still empty.
    pub fn new(folder: &Path) -> Self {
        Self {
            state: Tail::new(folder.join("state.log")),
            root: Tail::new(folder.join("root.log")),
            build: Tail::new(folder.join("build.log")),
            shown: "",
            phase: Phase::Chroot,
            phase_began: Instant::now(),
            installing: false,
            last_word: Instant::now(),
        }
    }

    /// Takes what is new in the logs. `state.log` first: mock writes there before it begins something, so what the others say is
    /// never put down to an earlier phase.
    pub async fn follow(&mut self, journal: &mut Journal, is_over: bool) -> Result<(), FollowError> {
        while let Some(lines) = self.state.read(is_over).map_err(FollowError::Io)? {
            for line in String::from_utf8_lossy(&lines).lines() {
                self.state_line(line, journal).await;
            }
        }
        self.pass_on(true, journal, is_over).await?;
        self.pass_on(false, journal, is_over).await
    }

    async fn state_line(&mut self, line: &str, journal: &mut Journal) {
        self.last_word = Instant::now();
        let text = line.split_once(" - ").map_or(line, |(_, text)| text);
        journal.say(&format!("mock: {}", printable(text.as_bytes()))).await;
        let Some(phase) = Phase::begun_by(line) else { return };
        if phase < self.phase || (phase == self.phase && phase != Phase::Chroot) {
            return;
        }
        (self.phase, self.phase_began, self.installing) = (phase, Instant::now(), false);
        if phase == Phase::Setup {
            // From here on it is the package that speaks. Stages begin with the scripts of its spec.
            journal.begin(true);
        }
        if let Some(stage) = phase.stage() {
            journal.stage(stage).await;
        }
    }

    async fn pass_on(&mut self, is_root: bool, journal: &mut Journal, is_over: bool) -> Result<(), FollowError> {
        let mut room = TURN;
        while is_over || room > 0 {
            let log = if is_root { &mut self.root } else { &mut self.build };
            let Some(mut lines) = log.read(is_over).map_err(FollowError::Io)? else { break };
            self.last_word = Instant::now();
            room = room.saturating_sub(lines.len().max(1));
            if lines.is_empty() {
                continue;
            }
            // Before the log's name is told: a stage that begins stands above what shows that it began.
            if is_root {
                lines = without_prefixes(&lines);
                self.look_for_requirements(&lines, journal).await;
            }
            let name = if is_root { "root.log" } else { "build.log" };
            if self.shown != name {
                journal.say(&format!("from mock's {name}:")).await;
                self.shown = name;
            }
            for lines in by_scripts(lines) {
                journal.take(lines).await.map_err(FollowError::Stop)?;
            }
        }
        Ok(())
    }

    async fn look_for_requirements(&mut self, lines: &[u8], journal: &mut Journal) {
        // With those that a spec generates, rpmbuild has begun.
        if self.phase >= Phase::Setup
            && !self.installing
            && journal.seen().began.is_none()
            && String::from_utf8_lossy(lines).lines().any(installs_requirements)
        {
            (self.installing, self.phase_began) = (self.phase == Phase::Setup, Instant::now());
            journal.stage(Stage::Dependencies).await;
        }
    }
}

/// Where rpmbuild begins a script.
const BEGINS: &[u8] = b"\nExecuting(";

/// Lines in pieces of which each has one script of a spec at the most, so that no stage is passed over that was short.
fn by_scripts(mut lines: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let begins = |part: &[u8]| part == BEGINS;
        let next = lines.windows(BEGINS.len()).position(begins).map_or(lines.len(), |at| at + 1);
        (!lines.is_empty()).then(|| lines.split_to(next))
    })
}

/// `root.log` as its programs printed it: mock puts `DEBUG util.py:123:  ` before each line of theirs, which hides from rules what
/// the line says.
fn without_prefixes(lines: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(lines.len());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(after_prefix(line).unwrap_or(line));
    }
    out.into()
}

fn after_prefix(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"DEBUG util.py:")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest.get(digits..)?.strip_prefix(b":  ").filter(|_| digits > 0)
}

/// What mock said last on its console of what went wrong.
pub fn last_error(console: &Path) -> Option<String> {
    let mut file = std::fs::File::open(console).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(CONSOLE))).ok()?;
    let mut text = Vec::new();
    file.take(CONSOLE).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let said = text.rfind("\nERROR: ").and_then(|at| text.get(at + 1..)).unwrap_or(&text);
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let words = match said.strip_prefix("ERROR: ") {
        // The first line says what mock did, the last how the program that it ran ended, or which that was.
        Some(_) => match (lines.next(), lines.next_back()) {
            (Some(first), Some(last)) => format!("{first} {}", last.trim_start_matches("# ")),
            (first, _) => first.unwrap_or_default().to_owned(),
        },
        None => lines.next_back()?.to_owned(),
    };
    Some(printable(words.trim_start_matches("ERROR: ").as_bytes()).chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_log_is_read_in_whole_lines_and_to_its_last_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("build.log");
        let mut tail = Tail::new(path.clone());
        assert_eq!(tail.read(false).unwrap(), None);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(tail.read(false).unwrap().unwrap(), "one\n");
        assert_eq!(tail.read(false).unwrap(), None);
        file.write_all(b"o\nthr").unwrap();
        assert_eq!(tail.read(false).unwrap().unwrap(), "two\n");
        assert_eq!(tail.read(true).unwrap().unwrap(), "thr");
        assert_eq!(tail.read(true).unwrap(), None);
    }

    #[test]
    fn a_line_without_an_end_is_passed_on_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("build.log");
        std::fs::write(&path, vec![b'x'; 3 * CHUNK + 7]).unwrap();
        let mut tail = Tail::new(path);
        let mut total = 0;
        while let Some(piece) = tail.read(true).unwrap() {
            assert!(piece.len() <= CHUNK);
            total += piece.len();
        }
        assert_eq!(total, 3 * CHUNK + 7);
    }

    #[test]
    fn each_script_of_a_spec_comes_in_a_piece_of_its_own() {
        let log = Bytes::from_static(b"x\nExecuting(%prep): a\ny\nExecuting(%build): b\n");
        assert_eq!(by_scripts(log).collect::<Vec<_>>(), ["x\n", "Executing(%prep): a\ny\n", "Executing(%build): b\n"]);
        assert_eq!(by_scripts(Bytes::new()).count(), 0);
    }

    #[test]
    fn no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("build.log");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        Tail::new(path).read(false).unwrap_err();
    }

    #[test]
    fn what_programs_printed_stands_at_the_beginning_of_the_line() {
        let log = b"DEBUG util.py:444:  Error: no\nDEBUG backend.py:1:  x\nDEBUG util.py::  y\n";
        assert_eq!(without_prefixes(log), "Error: no\nDEBUG backend.py:1:  x\nDEBUG util.py::  y\n");
    }
}
