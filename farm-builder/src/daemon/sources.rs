//! Getting the sources of a task.

use std::path::{Path, PathBuf};

use farm_api::{client::ClientError, hub::LeaseSource};
use farm_daemon::CancellationToken;
use farm_types::{Digest, LeaseKey};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::hub::{Hub, Setback, insist};

/// How often to fetch a source again that comes damaged.
const TRIES: u32 = 3;

/// Why a source is not here.
#[derive(Debug)]
pub enum FetchError {
    /// The hub did not give it.
    Hub(Setback),
    /// It came, and is not what it should be.
    Damaged(String),
}

/// Fetches all sources into a folder; answers their paths in the order of their positions.
pub async fn fetch(
    hub: &Hub,
    key: &LeaseKey,
    sources: &[LeaseSource],
    folder: &Path,
    stop: &CancellationToken,
) -> Result<Vec<PathBuf>, FetchError> {
    let mut sources: Vec<&LeaseSource> = sources.iter().collect();
    sources.sort_by_key(|source| source.position);
    let mut paths = Vec::new();
    for source in sources {
        let path = folder.join(format!("source-{}.src.rpm", source.position));
        let mut tries = 0;
        loop {
            let got = insist("getting a source", stop, || save(hub, key, source, &path)).await;
            let (size, digest) = got.map_err(FetchError::Hub)?;
            if (size, digest) == (source.size, source.digest) {
                break;
            }
            tries += 1;
            tracing::warn!(task.id = %key.task, source.position, size, %digest, "a source came damaged");
            if tries == TRIES {
                let why = format!(
                    "source {} came damaged {TRIES} times: {size} bytes with SHA-256 {digest} instead of {} with {}",
                    source.position, source.size, source.digest
                );
                return Err(FetchError::Damaged(why));
            }
        }
        paths.push(path);
    }
    Ok(paths)
}

async fn save(hub: &Hub, key: &LeaseKey, source: &LeaseSource, path: &Path) -> Result<(u64, Digest), ClientError> {
    let mut bytes = hub.source(key, source.position).await?;
    let mut file = fs_err::tokio::File::create(path).await?;
    let (mut size, mut digest) = (0, Sha256::new());
    while let Some(block) = bytes.next().await {
        let block = block?;
        size += block.len() as u64;
        if size > source.size {
            return Ok((size, Digest::from_bytes([0; 32])));
        }
        digest.update(&block);
        file.write_all(&block).await?;
    }
    file.flush().await?;
    Ok((size, Digest::from_bytes(digest.finalize().into())))
}
