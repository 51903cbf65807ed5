//! Getting what a task is built from and with.

use std::path::{Path, PathBuf};

use farm_api::{
    client::ClientError,
    hub::{LeasePackage, LeaseRecord, LeaseSource},
    record::{BuildRecord, Package},
};
use farm_daemon::{Backoff, CancellationToken};
use farm_types::{ArtifactKind, Digest, LeaseKey};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::hub::{Hub, Setback, insist};
use crate::driver::BuiltFile;

/// How often to fetch a source again that begins to come and then breaks off or comes damaged. (The hub breaks off when its own copy
/// is damaged.)
const TRIES: u32 = 5;

/// The largest record that is read, which is done in memory. A hub takes no larger one.
const MAX_RECORD: u64 = 64 << 20;

/// Why a source is not here.
#[derive(Debug)]
pub enum FetchError {
    /// The hub did not give it.
    Hub(Setback),
    /// It came, and is not what it should be.
    Damaged(String),
    /// It could not be kept.
    Disk(std::io::Error),
}

/// What came of one try.
type Try = Result<(), String>;

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
        let wanted = Wanted { what: What::Source(source.position), digest: source.digest, size: source.size };
        fetch_one(hub, key, &wanted, &path, stop).await?;
        paths.push(path);
    }
    Ok(paths)
}

/// Fetches the record of the build with whose packages to build; answers what was installed there.
pub async fn fetch_like(
    hub: &Hub,
    key: &LeaseKey,
    like: &LeaseRecord,
    folder: &Path,
    stop: &CancellationToken,
) -> Result<Vec<Package>, FetchError> {
    if like.size > MAX_RECORD {
        return Err(FetchError::Damaged(format!(
            "the record to build like has {} bytes, and more than {MAX_RECORD} are not read",
            like.size
        )));
    }
    let path = folder.join("like.json");
    let wanted = Wanted { what: What::Record, digest: like.digest, size: like.size };
    fetch_one(hub, key, &wanted, &path, stop).await?;
    let bytes = fs_err::tokio::read(&path).await.map_err(FetchError::Disk)?;
    let record: BuildRecord = serde_json::from_slice(&bytes)
        .map_err(|error| FetchError::Damaged(format!("the record to build like cannot be read: {error}")))?;
    // Only jobs of one source are built like another.
    let root = record.buildroots.into_iter().next();
    let packages = root.map(|root| root.packages).unwrap_or_default();
    if packages.is_empty() {
        return Err(FetchError::Damaged("the build to build like came to no chroot".to_owned()));
    }
    Ok(packages)
}

/// Fetches the packages of the jobs before into a folder of their own.
pub async fn fetch_packages(
    hub: &Hub,
    key: &LeaseKey,
    packages: &[LeasePackage],
    folder: &Path,
    stop: &CancellationToken,
) -> Result<Vec<BuiltFile>, FetchError> {
    let folder = folder.join("packages");
    fs_err::tokio::create_dir_all(&folder).await.map_err(FetchError::Disk)?;
    let mut files = Vec::new();
    for LeasePackage { name, digest, size, .. } in packages {
        let path = folder.join(name.as_str());
        let wanted = Wanted { what: What::Package, digest: *digest, size: *size };
        fetch_one(hub, key, &wanted, &path, stop).await?;
        files.push(BuiltFile { path, name: name.clone(), kind: ArtifactKind::Rpm, size: *size, digest: *digest });
    }
    Ok(files)
}

/// What is to be fetched.
struct Wanted {
    what: What,
    digest: Digest,
    size: u64,
}

/// What there is to fetch.
#[derive(Debug, Clone, Copy)]
enum What {
    /// The source at a position.
    Source(u32),
    /// The record of the build to build like.
    Record,
    /// A package of a job before.
    Package,
}

async fn fetch_one(
    hub: &Hub,
    key: &LeaseKey,
    source: &Wanted,
    path: &Path,
    stop: &CancellationToken,
) -> Result<(), FetchError> {
    let mut backoff = Backoff::default();
    let mut tries = 0;
    let what = match source.what {
        What::Source(position) => format!("source {position}"),
        What::Record => "the record".to_owned(),
        What::Package => format!("the package {}", source.digest),
    };
    loop {
        let why = match insist("getting a source", stop, || save(hub, key, source, path)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(Setback::Refused(ClientError::Local(error))) => return Err(FetchError::Disk(error)),
            Err(setback) => return Err(FetchError::Hub(setback)),
        };
        tries += 1;
        tracing::warn!(task.id = %key.task, what, why, "it did not come whole");
        if tries == TRIES {
            return Err(FetchError::Damaged(format!("{what} did not come whole {TRIES} times: {why}")));
        }
        if !backoff.wait(stop).await {
            return Err(FetchError::Hub(Setback::Stopped));
        }
    }
}

/// One try. An error is of the hub or our disk; that the bytes are not right is an answer.
async fn save(hub: &Hub, key: &LeaseKey, source: &Wanted, path: &Path) -> Result<Try, ClientError> {
    let mut bytes = match source.what {
        What::Source(position) => hub.source(key, position).await?,
        What::Record => hub.record(key).await?,
        What::Package => hub.package(key, &source.digest).await?,
    };
    let mut file = fs_err::tokio::File::create(path).await?;
    let (mut size, mut digest) = (0, Sha256::new());
    while let Some(block) = bytes.next().await {
        let block = match block {
            Ok(block) => block,
            Err(error) => return Ok(Err(error.to_string())),
        };
        size += block.len() as u64;
        if size > source.size {
            return Ok(Err(format!("it has more than {} bytes", source.size)));
        }
        digest.update(&block);
        file.write_all(&block).await?;
    }
    file.flush().await?;
    let digest = Digest::from_bytes(digest.finalize().into());
    Ok(match (size, digest) == (source.size, source.digest) {
        true => Ok(()),
        false => Err(format!("{size} bytes with SHA-256 {digest} came, not {} with {}", source.size, source.digest)),
    })
}
