//! The journal of a build (its log, its stages, what was found in them) and the clocks that end it.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use farm_api::record::{StageMark, Usage};
use farm_types::Stage;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::CancellationToken;

use super::excerpt::{Scanner, Seen};
use crate::driver::{BuildEvent, EventSink};

/// The most that is read of a log at once.
const CHUNK: usize = 64 << 10;

/// Marks that are kept; a job of thousands of sources has more stages.
const MOST_MARKS: usize = 10_000;

/// Why a step was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It was told to.
    Cancelled,
    /// The time was up.
    Timeout,
    /// It said nothing for too long.
    Silent,
    /// It said too much.
    LogTooLarge,
    /// It needed too much memory.
    OutOfMemory,
    /// What there is to say of what it made has no end.
    AnswerTooLong,
    /// It wrote too much.
    DiskFull,
    /// It made too many files.
    TooManyFiles,
    /// What it wrote cannot be counted.
    Uncountable,
    /// Nobody counts any more what it writes.
    Unwatched,
    /// The builder's own disk is nearly full.
    HostDiskFull,
}

/// What ends a step before its time.
#[derive(Debug, Clone)]
pub struct Clock {
    /// When its time is up.
    pub ends: tokio::time::Instant,
    /// How long it may say nothing.
    pub silence: Duration,
    /// Tells it to end.
    pub cancel: CancellationToken,
}

impl Clock {
    /// Waits until the time is up or the order to end comes.
    pub async fn strikes(&self) -> Stop {
        tokio::select! {
            () = self.cancel.cancelled() => Stop::Cancelled,
            () = tokio::time::sleep_until(self.ends) => Stop::Timeout,
        }
    }
}

/// Why the log could not be followed to its end.
#[derive(Debug)]
pub enum FollowError {
    /// The step has to end.
    Stop(Stop),
    /// The pipe broke.
    Io(io::Error),
}

/// The log and the stages of a build.
#[derive(Debug)]
pub struct Journal {
    events: EventSink,
    room: u64,
    scanner: Scanner,
    /// Whether scripts of the spec begin stages.
    follow_sections: bool,
    stages: Vec<(Stage, Duration)>,
    current: Option<(Stage, Instant)>,
    began: Instant,
    /// Bytes that the log has.
    written: u64,
    marks: Vec<StageMark>,
    /// The source that is being built, where there are several.
    source: Option<u32>,
    usage: Usage,
}

/// What a journal has noted in the end.
#[derive(Debug)]
pub struct Noted {
    /// How long each stage took.
    pub stages: Vec<(Stage, Duration)>,
    /// Where in the log they begin.
    pub marks: Vec<StageMark>,
    /// What the package's own steps have used up.
    pub usage: Usage,
}

impl Journal {
    /// A journal of a log of at most so many bytes.
    pub fn new(events: EventSink, log_bytes: u64) -> Self {
        Self {
            events,
            room: log_bytes,
            scanner: Scanner::default(),
            follow_sections: false,
            stages: Vec::new(),
            current: None,
            began: Instant::now(),
            written: 0,
            marks: Vec::new(),
            source: None,
            usage: Usage::default(),
        }
    }

    /// What follows is of the source at this position, or of none.
    pub fn of_source(&mut self, position: Option<u32>) {
        self.source = position;
    }

    /// A step of the package's own has used this up.
    pub fn used(&mut self, usage: Usage) {
        self.usage = self.usage.and(usage);
    }

    /// A stage begins.
    pub async fn stage(&mut self, stage: Stage) {
        if self.current.is_some_and(|(current, _)| current == stage) {
            return;
        }
        self.end_stage();
        self.current = Some((stage, Instant::now()));
        // Nobody has to listen.
        let _ = self.events.send(BuildEvent::StageBegan(stage)).await;
        self.mark(stage).await;
    }

    /// Writes into the log that a stage begins, and remembers where.
    async fn mark(&mut self, stage: Stage) {
        self.end_line().await;
        let (offset, line) = (self.written, self.scanner.pass());
        if self.marks.len() < MOST_MARKS {
            self.marks.push(StageMark { stage, source: self.source, offset, line });
        }
        let percent =
            if matches!(stage, Stage::Prep | Stage::Build | Stage::Install | Stage::Check) { "%" } else { "" };
        let seconds = self.began.elapsed().as_secs_f32();
        self.send(Bytes::from(format!("[farm] === {percent}{stage} === {seconds:.1} s\n"))).await;
    }

    fn end_stage(&mut self) {
        if let Some((stage, began)) = self.current.take() {
            match self.stages.iter_mut().find(|(known, _)| *known == stage) {
                Some((_, time)) => *time += began.elapsed(),
                None => self.stages.push((stage, began.elapsed())),
            }
        }
    }

    /// The stage that the build is in.
    pub fn current(&self) -> Stage {
        self.current.map_or(Stage::Chroot, |(stage, _)| stage)
    }

    /// Ends the last stage and answers what was noted.
    pub fn finish(mut self) -> Noted {
        self.end_stage();
        Noted { stages: self.stages, marks: self.marks, usage: self.usage }
    }

    /// Another program begins; `follow_sections` if it is rpmbuild and its scripts begin stages.
    pub fn begin(&mut self, follow_sections: bool) {
        self.scanner.begin();
        self.follow_sections = follow_sections;
    }

    /// What the log has shown since then.
    pub fn seen(&self) -> &Seen {
        self.scanner.seen()
    }

    /// Writes a line of the farm's own into the log.
    pub async fn say(&mut self, text: &str) {
        self.end_line().await;
        let line = Bytes::from(format!("[farm] {text}\n"));
        self.scanner.feed(&line);
        self.send(line).await;
    }

    /// Ends the line that somebody else has begun.
    async fn end_line(&mut self) {
        if self.scanner.is_in_a_line() {
            self.scanner.feed(b"\n");
            self.send(Bytes::from_static(b"\n")).await;
        }
    }

    async fn send(&mut self, bytes: Bytes) {
        self.written += bytes.len() as u64;
        // Nobody has to listen.
        let _ = self.events.send(BuildEvent::Log(bytes)).await;
    }

    /// Follows the output of a step until all who could write to it are gone.
    pub async fn follow(
        &mut self,
        output: &mut (impl AsyncRead + Unpin),
        silence: Duration,
    ) -> Result<(), FollowError> {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK);
            match tokio::time::timeout(silence, output.read_buf(&mut buffer)).await {
                Err(_) => return Err(FollowError::Stop(Stop::Silent)),
                Ok(Err(error)) => return Err(FollowError::Io(error)),
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(_)) => self.take(buffer.split().freeze()).await.map_err(FollowError::Stop)?,
            }
        }
    }

    /// Takes the next bytes of the log.
    pub async fn take(&mut self, mut bytes: Bytes) -> Result<(), Stop> {
        let too_large = bytes.len() as u64 > self.room;
        if too_large {
            bytes.truncate(usize::try_from(self.room).unwrap_or(usize::MAX));
        }
        self.room -= bytes.len() as u64;
        while !bytes.is_empty() {
            let (length, stage) = self.scanner.feed(&bytes);
            self.send(bytes.split_to(length)).await;
            if let Some(stage) = stage.filter(|_| self.follow_sections) {
                self.stage(stage).await;
            }
        }
        if too_large { Err(Stop::LogTooLarge) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Lets a journal follow rpmbuild's words as they come in these pieces; answers the log and what was noted.
    async fn follow(pieces: &[&str]) -> (String, Noted) {
        let (sender, mut events) = mpsc::channel(1000);
        let mut journal = Journal::new(sender, u64::MAX);
        journal.stage(Stage::Source).await;
        journal.begin(true);
        for piece in pieces {
            journal.take(Bytes::copy_from_slice(piece.as_bytes())).await.unwrap();
        }
        journal.stage(Stage::Collect).await;
        let noted = journal.finish();
        let mut log = Vec::new();
        while let Some(event) = events.recv().await {
            if let BuildEvent::Log(bytes) = event {
                log.extend_from_slice(&bytes);
            }
        }
        (String::from_utf8(log).unwrap(), noted)
    }

    #[tokio::test]
    async fn each_stage_has_a_mark_where_its_line_is_however_the_log_comes() {
        let text = "Executing(%prep): /bin/sh\n+ tar\nExecuting(%build): /bin/sh\n+ make\nExecuting(%check): /bin/sh\nends here";
        let (whole, _) = follow(&[text]).await;
        let each: Vec<_> = text.char_indices().map(|(n, c)| &text[n..n + c.len_utf8()]).collect();
        for pieces in [vec![text], each] {
            let (log, noted) = follow(&pieces).await;
            assert_eq!(log.lines().count(), whole.lines().count());
            let lines: Vec<_> = log.lines().collect();
            for mark in &noted.marks {
                let at = usize::try_from(mark.offset).unwrap();
                assert!(at == 0 || log.as_bytes()[at - 1] == b'\n', "{mark:?}");
                let line = lines[usize::try_from(mark.line).unwrap() - 1];
                assert!(log[at..].starts_with(line) && line.contains(mark.stage.as_str()), "{mark:?}: {line}");
            }
            let stages: Vec<_> = noted.marks.iter().map(|mark| mark.stage).collect();
            assert_eq!(stages, [Stage::Source, Stage::Prep, Stage::Build, Stage::Check, Stage::Collect]);
        }
        assert!(whole.contains("Executing(%build): /bin/sh\n[farm] === %build === 0.0 s\n+ make\n"), "{whole}");
    }
}
