//! SHA-256 beside the work: the bytes are hashed on a blocking thread while the caller goes on with the next ones.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use farm_types::Digest;
use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

/// How much is read at once when staged bytes are hashed again.
const READ_SIZE: usize = 1 << 20;

/// A SHA-256 under way. Once a method has failed, the digester is of no more use.
pub(crate) struct Digester(JoinHandle<io::Result<Sha256>>);

impl Digester {
    /// Of no byte yet.
    pub(crate) fn new() -> Self {
        Self(spawn_blocking(|| Ok(Sha256::new())))
    }

    /// Of the first `len` bytes of the file at `path`, which may grow meanwhile. Returns at once.
    ///
    /// It opens the file once more, so that a staged upload's lock does not last as long as the hashing of what is dropped.
    pub(crate) fn of_prefix(path: PathBuf, len: u64) -> Self {
        Self(spawn_blocking(move || if len == 0 { Ok(Sha256::new()) } else { hash_prefix(&path, len) }))
    }

    /// Adds `pieces`. Waits for the bytes before them, not for these: so at most two batches are in memory.
    pub(crate) async fn update(&mut self, pieces: Vec<Bytes>) -> io::Result<()> {
        let mut sha = (&mut self.0).await??;
        self.0 = spawn_blocking(move || {
            pieces.iter().for_each(|piece| sha.update(piece));
            Ok(sha)
        });
        Ok(())
    }

    /// The digest of everything.
    pub(crate) async fn finish(self) -> io::Result<Digest> {
        Ok(Digest::from_bytes(self.0.await??.finalize().into()))
    }
}

fn hash_prefix(path: &Path, len: u64) -> io::Result<Sha256> {
    let mut sha = Sha256::new();
    let mut prefix = fs_err::File::open(path)?.take(len);
    let mut buffer = vec![0; READ_SIZE];
    loop {
        match prefix.read(&mut buffer) {
            Ok(0) => return Ok(sha),
            Ok(n) => sha.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
