//! An upload that is being received: bytes are written to its file and hashed at the same time.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    mem,
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use farm_types::Digest;
use futures::{Stream, StreamExt};
use tokio::task::{JoinHandle, spawn_blocking};
use uuid::Uuid;

use crate::{BodyError, StoreError, digester::Digester, staging::Locked};

/// Bytes are handed to the threads in batches of about this size: one batch is received while the one before is hashed and
/// written. Nothing is copied; a batch is the pieces as they came from the network.
const BATCH_SIZE: usize = 1 << 20;
/// So many pieces at most: what one `writev` takes.
const BATCH_PIECES: usize = 1024;

/// An upload under way, from [`crate::Store::stage`]. Nobody else can receive it meanwhile.
///
/// Dropping it keeps what was written, to go on later. After an error, drop it and stage the upload again.
pub struct Staged {
    id: Uuid,
    store: String,
    path: PathBuf,
    file: Arc<File>,
    len: u64,
    batch: Vec<Bytes>,
    batch_len: usize,
    writing: Option<Writing>,
    digester: Digester,
    broken: bool,
}

/// A batch on its way into the file.
struct Writing {
    size: u64,
    done: JoinHandle<io::Result<()>>,
}

impl Staged {
    pub(crate) fn new(id: Uuid, store: &str, locked: Locked) -> Self {
        let Locked { path, file, len } = locked;
        // Bytes of an earlier connection, perhaps of an earlier process: hashed once more, while the next ones come.
        let digester = Digester::of_prefix(path.clone(), len);
        Self {
            id,
            store: store.to_owned(),
            path,
            file,
            len,
            batch: Vec::new(),
            batch_len: 0,
            writing: None,
            digester,
            broken: false,
        }
    }

    /// The id that it is resumed by.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// How many bytes were received, over all connections: where the sender goes on.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no byte was received yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Goes back: what came after so many bytes is to come once more. The sender decides where it goes on, as long as there is no gap.
    pub async fn rewind(&mut self, len: u64) -> Result<(), StoreError> {
        self.flush().await?;
        if len < self.len {
            let file = Arc::clone(&self.file);
            let cut = spawn_blocking(move || file.set_len(len)).await.map_err(io::Error::from).and_then(|cut| cut);
            cut.map_err(|e| self.error(0, e))?;
            self.len = len;
            self.digester = Digester::of_prefix(self.path.clone(), len);
        }
        Ok(())
    }

    /// Adds bytes. They are in the file for certain only after [`Staged::flush`].
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.len += bytes.len() as u64;
        self.batch_len += bytes.len();
        self.batch.push(bytes);
        if self.batch_len >= BATCH_SIZE || self.batch.len() >= BATCH_PIECES {
            self.hand_over().await?;
        }
        Ok(())
    }

    /// Adds a whole stream, and flushes, also when the stream breaks off. Stops as soon as there are more than `size`
    /// bytes in total: nobody fills the disk by announcing little.
    pub async fn append_stream<S, E>(&mut self, body: S, size: u64) -> Result<(), StoreError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<BodyError>,
    {
        let mut body = std::pin::pin!(body);
        let received = loop {
            match body.next().await {
                None => break Ok(()),
                Some(Err(e)) => break Err(StoreError::Body(e.into())),
                Some(Ok(bytes)) if self.len + bytes.len() as u64 > size => {
                    let actual = self.len + bytes.len() as u64;
                    self.remove().await?;
                    return Err(StoreError::SizeMismatch { expected: size, actual });
                }
                Some(Ok(bytes)) => self.append(bytes).await?,
            }
        };
        self.flush().await?;
        received
    }

    /// Waits until everything received is in the file (not on the disk: that is what committing does).
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        self.hand_over().await?;
        self.wait_for_writer().await
    }

    /// The file, to read what was flushed.
    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Gives up the upload and removes what was staged here.
    pub(crate) async fn discard(mut self) -> Result<(), StoreError> {
        self.remove().await
    }

    /// Everything that was received, written and hashed. The file stays locked as long as the answer lives.
    pub(crate) async fn finish(mut self) -> Result<(Locked, Digest), StoreError> {
        self.flush().await?;
        let Self { digester, path, file, len, store, .. } = self;
        let digest = digester.finish().await.map_err(|e| StoreError::io(&store, 0, "read a staged upload", e))?;
        Ok((Locked { path, file, len }, digest))
    }

    /// Starts writing and hashing of the current batch, as soon as the one before is done.
    async fn hand_over(&mut self) -> Result<(), StoreError> {
        self.wait_for_writer().await?;
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = mem::take(&mut self.batch);
        let size = mem::take(&mut self.batch_len) as u64;
        let (file, pieces) = (Arc::clone(&self.file), batch.clone());
        // From here until the digester has them, these bytes are in the file and not in the digest.
        self.broken = true;
        self.writing = Some(Writing { size, done: spawn_blocking(move || write_all(&file, &pieces)) });
        self.digester.update(batch).await.map_err(|e| self.error(0, e))?;
        self.broken = false;
        Ok(())
    }

    async fn wait_for_writer(&mut self) -> Result<(), StoreError> {
        if self.broken {
            return Err(self.error(0, io::Error::other("it failed before; begin again with what is staged")));
        }
        if let Some(writing) = &mut self.writing {
            let (size, written) = (writing.size, (&mut writing.done).await.map_err(io::Error::from).and_then(|r| r));
            self.writing = None;
            if let Err(e) = written {
                self.broken = true;
                return Err(self.error(size, e));
            }
        }
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), StoreError> {
        self.broken = true;
        fs_err::tokio::remove_file(&self.path)
            .await
            .map_err(|e| StoreError::io(&self.store, 0, "remove a staged upload", e))
    }

    fn error(&self, asked: u64, source: io::Error) -> StoreError {
        StoreError::io(&self.store, asked, format!("write the staged upload {}", self.id), source)
    }
}

fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
