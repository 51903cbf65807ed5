//! Reads a log from a byte on, and goes on while it grows.

use std::{pin::pin, time::Duration};

use async_stream::try_stream;
use bytes::Bytes;
use farm_db::{
    DbError, Viewer,
    read::{self, LogChunk},
};
use farm_types::{AttemptNumber, Digest, TaskId};
use futures::{Stream, StreamExt};

use super::unpack;
use crate::{
    App,
    error::{AppError, Result},
};

/// How often a log that is followed is looked at. The database tells nobody of each new piece: it would be told to
/// everyone, and there are thousands of pieces for every reader.
const PACE: Duration = Duration::from_millis(500);
/// How often a look may find less than there should be, before that is a fault: the pieces may just have become a blob.
const LOOKS: u32 = 5;

/// Which part of which log.
#[derive(Debug, Clone, Copy)]
pub struct LogPart {
    /// Who reads it.
    pub viewer: Viewer,
    /// The task.
    pub task: TaskId,
    /// The attempt; the latest one, or the first to come, when absent.
    pub attempt: Option<AttemptNumber>,
    /// The first byte.
    pub start: u64,
    /// Whether to go on until the attempt has ended.
    pub follow: bool,
}

/// The attempt whose log that is, where there is one yet. An error if the task or the attempt does not exist.
pub async fn attempt_of(app: &App, part: LogPart) -> Result<Option<AttemptNumber>> {
    let place = app
        .db(move |conn| match read::log_place(conn, part.viewer, part.task, part.attempt)? {
            Some(place) => Ok(Some(place)),
            // To tell a task that has not begun from one that does not exist.
            None => read::task(conn, part.viewer, part.task).map(|_| None),
        })
        .await?;
    Ok(place.map(|place| place.number))
}

/// The bytes of a log. The first fault ends it.
pub fn stream(app: App, part: LogPart) -> impl Stream<Item = Result<Bytes>> + Send {
    try_stream! {
        let Some(attempt) = first_attempt(&app, part).await? else { return };
        let mut reader = Reader { app, viewer: part.viewer, task: part.task, attempt, offset: part.start, looks: 0 };
        loop {
            match reader.look().await? {
                Found::Pieces(pieces) => {
                    for piece in pieces {
                        yield piece;
                    }
                }
                Found::Blob(digest) => {
                    let rest = reader.rest_of(&digest).await?;
                    let mut rest = pin!(rest);
                    while let Some(piece) = rest.next().await {
                        yield piece?;
                    }
                    return;
                }
                Found::Again => {}
                Found::End => return,
                Found::NothingYet if !part.follow => return,
                Found::NothingYet if !reader.app.pause().await => return,
                Found::NothingYet => {}
            }
        }
    }
}

/// The attempt to read; waits for it if that was asked for and it can still come.
async fn first_attempt(app: &App, part: LogPart) -> Result<Option<AttemptNumber>> {
    loop {
        if let Some(attempt) = attempt_of(app, part).await? {
            return Ok(Some(attempt));
        }
        let task = app.db(move |conn| read::task(conn, part.viewer, part.task)).await?;
        if !part.follow || task.state.is_final() || !app.pause().await {
            return Ok(None);
        }
    }
}

struct Reader {
    app: App,
    viewer: Viewer,
    task: TaskId,
    attempt: AttemptNumber,
    /// The next byte.
    offset: u64,
    /// Looks in a row that found less than there should be.
    looks: u32,
}

/// What one look found.
enum Found {
    Pieces(Vec<Bytes>),
    Blob(Digest),
    Again,
    NothingYet,
    End,
}

impl Reader {
    /// Looks for pieces first and for the place second. So when the pieces have gone in between, because the log became a
    /// blob, the place says so; and when some came in between, the size does. The place is asked for each time, as it is there
    /// for those alone who may see it, and somebody who follows a log may lose that right meanwhile.
    async fn look(&mut self) -> Result<Found> {
        let (viewer, task, attempt, offset) = (self.viewer, self.task, self.attempt, self.offset);
        let look = move |conn: &mut _| {
            let chunks = read::log_chunks(conn, task, attempt, offset)?;
            Ok((chunks, read::log_place(conn, viewer, task, Some(attempt))?))
        };
        let (chunks, place) = self.app.db(look).await?;
        let place = place.ok_or_else(|| DbError::NotFound(format!("task {task} has no attempt {attempt}")))?;
        if !chunks.is_empty() {
            self.looks = 0;
            return self.unpack(chunks).await.map(Found::Pieces);
        }
        if let Some(digest) = place.blob {
            return Ok(Found::Blob(digest));
        }
        if place.size > offset {
            self.looks += 1;
            if self.looks > LOOKS {
                let message =
                    format!("log of task {task}, attempt {attempt}: {} bytes, none from {offset} on", place.size);
                return Err(AppError::Mistake(message));
            }
            return Ok(Found::Again);
        }
        Ok(if place.ended { Found::End } else { Found::NothingYet })
    }

    async fn unpack(&mut self, chunks: Vec<LogChunk>) -> Result<Vec<Bytes>> {
        let mut pieces = Vec::new();
        for chunk in chunks {
            let mut at = u64::try_from(chunk.start).unwrap_or(0);
            let packed = futures::stream::iter([Ok(Bytes::from(chunk.data))]);
            let mut unpacked = pin!(unpack(packed));
            while let Some(piece) = unpacked.next().await {
                pieces.extend(self.fresh(&mut at, piece?));
            }
        }
        Ok(pieces)
    }

    /// What follows the offset, out of the blob that holds everything.
    async fn rest_of(mut self, digest: &Digest) -> Result<impl Stream<Item = Result<Bytes>> + Send> {
        let blob = self.app.store.get(digest).await?;
        Ok(try_stream! {
            let mut at = 0;
            let mut unpacked = pin!(unpack(blob.stream()));
            while let Some(piece) = unpacked.next().await {
                if let Some(fresh) = self.fresh(&mut at, piece?) {
                    yield fresh;
                }
            }
        })
    }

    /// What is new of a piece that begins at `at`. Moves both on.
    fn fresh(&mut self, at: &mut u64, mut piece: Bytes) -> Option<Bytes> {
        let begin = *at;
        *at += piece.len() as u64;
        let known = self.offset.saturating_sub(begin);
        if *at <= self.offset || begin > self.offset {
            return None;
        }
        self.offset = *at;
        Some(piece.split_off(usize::try_from(known).unwrap_or(0)))
    }
}

impl App {
    /// Waits for the next look. False: the process ends, and so does whoever looks.
    async fn pause(&self) -> bool {
        self.shutdown.run_until_cancelled(tokio::time::sleep(PACE)).await.is_some()
    }
}
