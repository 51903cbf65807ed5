//! Uploads that survive a cut of the connection.

use std::{
    io::SeekFrom,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use farm_types::Digest;
use futures::{Stream, StreamExt};
use reqwest::Method;
use tokio::io::AsyncSeekExt;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::{ClientError, PeopleClient, call::pause};
use crate::{
    error::ErrorCode,
    people::{NewUpload, Upload},
};

/// Tries without any progress before we give up: enough to outlast the restart of a server.
const TRIES: u32 = 8;
/// How long the server may take no byte, or take to verify the last one.
const STANDSTILL: Duration = Duration::from_secs(120);
/// Bytes read from the file at once.
const BLOCK: usize = 256 * 1024;

impl PeopleClient {
    /// Brings a file to the server, unless it has it: streamed, and after a cut from where the server says. `progress`
    /// is told after each block how many bytes the server has been sent, counted from the beginning of the file.
    pub async fn upload(
        &self,
        file: &Path,
        digest: Digest,
        size: u64,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Uploaded, ClientError> {
        let progress: Arc<dyn Fn(u64) + Send + Sync> = Arc::new(progress);
        let new = NewUpload { digest, size };
        let mut at = self.begin_upload(&new).await?;
        if at.complete {
            return Ok(Uploaded::WasThere);
        }
        let (mut furthest, mut tries) = (at.offset, 0);
        while !at.complete {
            let id = at.id.ok_or_else(|| self.nonsense("an upload that is not complete has no id"))?;
            progress(at.offset);
            let error = match self.send(file, id, at.offset, size, &progress).await {
                Ok(next) if next.complete || next.offset > at.offset => {
                    at = next;
                    continue;
                }
                Ok(_) => self.nonsense("it took bytes and has no more than before"),
                Err(error) => error,
            };
            let again =
                error.is_passing() || matches!(error.code(), Some(ErrorCode::WrongOffset | ErrorCode::NotFound));
            if !again {
                return Err(error);
            }
            tries += 1;
            if tries == TRIES {
                return Err(error);
            }
            // Behind a balancer the next answer may be another server's: this one has less of the file than we were told, and every
            // server takes what begins no later than what it has.
            if let Some(offset) = error.body().and_then(|body| body.offset).filter(|offset| *offset < at.offset) {
                at.offset = offset;
                continue;
            }
            tokio::time::sleep(pause(tries, None)).await;
            at = match self.upload_status(id).await {
                Ok(status) => status,
                // Collected in the meantime: begin anew.
                Err(gone) if gone.code() == Some(ErrorCode::NotFound) => self.begin_upload(&new).await?,
                Err(away) if away.is_passing() => at,
                Err(other) => return Err(other),
            };
            if at.offset > furthest {
                (furthest, tries) = (at.offset, 0);
            }
        }
        Ok(Uploaded::Sent)
    }

    async fn send(
        &self,
        file: &Path,
        id: Uuid,
        offset: u64,
        size: u64,
        progress: &Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Result<Upload, ClientError> {
        let mut source = fs_err::tokio::File::open(file).await?;
        source.seek(SeekFrom::Start(offset)).await?;
        let sent = Arc::new(AtomicU64::new(offset));
        let body = counted(ReaderStream::with_capacity(source, BLOCK), Arc::clone(&sent), Arc::clone(progress));
        let call = self
            .transport()
            .call(Method::PATCH, &format!("api/v1/uploads/{id}?offset={offset}"))
            .stream(body, size.saturating_sub(offset));
        tokio::select! {
            answer = call.answer() => answer,
            () = standstill(&sent) => Err(ClientError::Unreachable {
                url: self.transport().base().to_owned(),
                why: format!("it took nothing for {} seconds", STANDSTILL.as_secs()),
            }),
        }
    }

    fn nonsense(&self, why: &str) -> ClientError {
        ClientError::BadAnswer { url: self.url("api/v1/uploads"), why: why.to_owned() }
    }
}

/// How a file came to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// It had the file already.
    WasThere,
    /// The bytes went over.
    Sent,
}

fn counted(
    stream: impl Stream<Item = std::io::Result<Bytes>>,
    sent: Arc<AtomicU64>,
    progress: Arc<dyn Fn(u64) + Send + Sync>,
) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream.inspect(move |block| {
        if let Ok(block) = block {
            let length = block.len() as u64;
            progress(sent.fetch_add(length, Ordering::Relaxed) + length);
        }
    })
}

/// Ends when nothing has been sent for too long.
async fn standstill(sent: &AtomicU64) {
    let mut before = sent.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(STANDSTILL).await;
        let now = sent.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}
