//! What every test needs: somewhere to keep a store, and bytes to put into it.

use std::path::PathBuf;

use bytes::Bytes;
use farm_store::{BodyError, Store, StoreConfig};
use farm_types::Digest;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

/// A store of one test's own, with what is needed to open it again as another process would.
pub struct Setup {
    pub store: Store,
    pub config: StoreConfig,
    pub spool: PathBuf,
    _folder: TempDir,
}

impl Setup {
    /// `config` is asked for the configuration, given a folder that is the test's own.
    pub fn new(config: impl FnOnce(&TempDir) -> StoreConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, spool) = (config(&folder), folder.path().join("spool"));
        Self { store: Store::open(&config, &spool).unwrap(), config, spool, _folder: folder }
    }

    pub fn open_again(&self) -> Store {
        Store::open(&self.config, &self.spool).unwrap()
    }
}

/// `size` bytes that do not compress, the same for the same seed: blocks of noise, each with its number in front.
pub fn some_bytes(seed: u64, size: usize) -> Bytes {
    let mut block = vec![0; BLOCK];
    StdRng::seed_from_u64(seed).fill_bytes(&mut block);
    let mut bytes = Vec::with_capacity(size + BLOCK);
    for number in 0..size.div_ceil(BLOCK) {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&block[size_of::<usize>()..]);
    }
    bytes.truncate(size);
    bytes.into()
}

const BLOCK: usize = 64 << 10;

pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// As a body comes from the network: in pieces.
pub fn body(bytes: &Bytes) -> impl Stream<Item = Result<Bytes, BodyError>> + use<> {
    let bytes = bytes.clone();
    stream::iter((0..bytes.len()).step_by(PIECE).map(move |at| Ok(bytes.slice(at..bytes.len().min(at + PIECE)))))
}

const PIECE: usize = 60_001;

/// A body whose connection is cut after `len` bytes.
pub fn cut_body(bytes: &Bytes, len: usize) -> impl Stream<Item = Result<Bytes, BodyError>> + use<> {
    body(&bytes.slice(..len)).chain(stream::iter([Err("connection reset".into())]))
}

pub async fn put(store: &Store, bytes: &Bytes) -> Digest {
    let digest = digest_of(bytes);
    store.put_stream(&digest, bytes.len() as u64, body(bytes)).await.unwrap();
    digest
}

pub async fn read(store: &Store, digest: &Digest) -> Vec<u8> {
    store.get(digest).await.unwrap().bytes(u64::MAX).await.unwrap()
}

pub async fn listed(store: &Store) -> Vec<Digest> {
    let mut all: Vec<_> = store.list(None).map_ok(|info| info.digest).try_collect().await.unwrap();
    all.sort();
    all
}

pub fn new_id() -> Uuid {
    Uuid::new_v4()
}
