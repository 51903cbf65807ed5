//! The journal of a build (its log, its stages, what was found in them) and the clocks that end it.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use farm_types::Stage;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::CancellationToken;

use super::excerpt::{Scanner, Seen};
use crate::driver::{BuildEvent, EventSink};

/// The most that is read of a log at once.
const CHUNK: usize = 64 << 10;

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
        }
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

    /// Ends the last stage and answers how long each took.
    pub fn finish(mut self) -> Vec<(Stage, Duration)> {
        self.end_stage();
        self.stages
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
        let end_of_other = if self.scanner.is_in_a_line() { "\n" } else { "" };
        let line = Bytes::from(format!("{end_of_other}[farm] {text}\n"));
        self.scanner.feed(&line);
        let _ = self.events.send(BuildEvent::Log(line)).await;
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
        let stage = self.scanner.feed(&bytes);
        let _ = self.events.send(BuildEvent::Log(bytes)).await;
        if let Some(stage) = stage.filter(|_| self.follow_sections) {
            self.stage(stage).await;
        }
        if too_large { Err(Stop::LogTooLarge) } else { Ok(()) }
    }
}
