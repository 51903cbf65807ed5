//! Reading a blob.

use std::{
    fmt,
    io::{self, SeekFrom},
    ops::Range,
    pin::Pin,
    sync::Arc,
};

use async_stream::try_stream;
use bytes::Bytes;
use farm_types::Digest;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore, path::Path};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::{StoreError, digester::Digester};

/// How much of a file is read at once.
const READ_SIZE: usize = 512 << 10;

/// The bytes of a blob as they come.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, StoreError>> + Send>>;

/// A blob that is there, to be read.
#[derive(Clone)]
pub struct Blob {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) key: Path,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Blob {
    /// The SHA-256 of its bytes, which is its name.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All bytes, verified: the last piece comes only when the digest of everything was compared. If it differs, the
    /// stream ends with [`StoreError::DigestMismatch`], and a reader that expects [`Blob::size`] bytes never gets them all.
    pub fn stream(&self) -> BlobStream {
        let (blob, mut digester) = (self.clone(), Digester::new());
        Box::pin(try_stream! {
            let mut pieces = blob.pieces(None).await?;
            let mut held = None;
            while let Some(piece) = pieces.try_next().await? {
                digester.update(vec![piece.clone()]).await.map_err(|e| blob.io_error(e))?;
                if let Some(before) = held.replace(piece) {
                    yield before;
                }
            }
            let actual = digester.finish().await.map_err(|e| blob.io_error(e))?;
            if actual != blob.digest {
                tracing::warn!(blob = %blob.digest, %actual, "a blob in the store is damaged");
                Err(StoreError::DigestMismatch { expected: blob.digest, actual })?;
            }
            if let Some(last) = held {
                yield last;
            }
        })
    }

    /// Some of its bytes, for HTTP ranges. A part cannot be verified: who needs certainty reads the whole
    /// [`Blob::stream`], or compares the digest once all parts are there.
    pub fn read_range(&self, range: Range<u64>) -> BlobStream {
        let blob = self.clone();
        Box::pin(try_stream! {
            let mut pieces = blob.pieces(Some(range)).await?;
            while let Some(piece) = pieces.try_next().await? {
                yield piece;
            }
        })
    }

    /// The whole blob in memory, verified; an error of kind [`StoreError::SizeMismatch`] if it is larger than `limit`.
    pub async fn bytes(&self, limit: u64) -> Result<Vec<u8>, StoreError> {
        if self.size > limit {
            return Err(StoreError::SizeMismatch { expected: limit, actual: self.size });
        }
        let start = Vec::new();
        self.stream()
            .try_fold(start, |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
    }

    /// The bytes as the object store gives them.
    async fn pieces(&self, range: Option<Range<u64>>) -> Result<BlobStream, StoreError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let got = self.objects.get_opts(&self.key, options).await.map_err(|e| self.object_error(e))?;
        let range = got.range.clone();
        match got.payload {
            // object_store would read 8 KiB at a time.
            GetResultPayload::File(file, _) => {
                let mut file = tokio::fs::File::from_std(file);
                file.set_max_buf_size(READ_SIZE);
                file.seek(SeekFrom::Start(range.start)).await.map_err(|e| self.io_error(e))?;
                let part = ReaderStream::with_capacity(file.take(range.end - range.start), READ_SIZE);
                let blob = self.clone();
                Ok(part.map_err(move |e| blob.io_error(e)).boxed())
            }
            payload @ GetResultPayload::Stream(_) => {
                let blob = self.clone();
                let got = object_store::GetResult { payload, ..got };
                Ok(got.into_stream().map_err(move |e| blob.object_error(e)).boxed())
            }
        }
    }

    fn io_error(&self, source: io::Error) -> StoreError {
        StoreError::Io { doing: format!("read the blob {}", self.digest), source }
    }

    fn object_error(&self, source: object_store::Error) -> StoreError {
        match source {
            object_store::Error::NotFound { .. } => StoreError::NotFound(self.digest),
            source => StoreError::Object { doing: format!("read the blob {}", self.digest), source },
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}, {} bytes)", self.digest, self.size)
    }
}
