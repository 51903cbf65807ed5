//! SHA-256 beside the work: the bytes are hashed on a blocking thread while the caller goes on with the next ones.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

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

    /// Of the first `len` bytes of `file`, which may grow meanwhile. Returns at once.
    pub(crate) fn of_prefix(file: Arc<File>, len: u64) -> Self {
        Self(spawn_blocking(move || hash_prefix(&file, len)))
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

fn hash_prefix(file: &File, len: u64) -> io::Result<Sha256> {
    let mut sha = Sha256::new();
    let mut buffer = vec![0; READ_SIZE];
    let mut at = 0;
    while at < len {
        let wanted = usize::try_from(len - at).map_or(READ_SIZE, |rest| rest.min(READ_SIZE));
        match file.read_at(&mut buffer[..wanted], at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                sha.update(&buffer[..n]);
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(sha)
}
