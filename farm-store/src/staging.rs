//! The folder of uploads that are under way: one file each, named by the upload's id, locked while it is received.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::{fs::FlockOperation, io::Errno};
use tokio::{task::spawn_blocking, time::Instant};
use uuid::Uuid;

use crate::StoreError;

/// How long a newcomer waits for the connection before it: one that was cut still has its last bytes to write.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Everyone in the farm's group may read what the store holds; nobody else.
const FILE_MODE: u32 = 0o640;

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Staging {
    folder: PathBuf,
    /// The store's name for messages.
    store: String,
}

/// A staged file, open and locked. The lock goes with the last clone of `file`.
pub(crate) struct Locked {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    pub(crate) len: u64,
}

impl Staging {
    pub(crate) fn open(folder: PathBuf, store: &str) -> Result<Self, StoreError> {
        fs_err::create_dir_all(&folder)
            .map_err(|e| StoreError::io(store, 0, "make the folder for staged uploads", e))?;
        Ok(Self { folder, store: store.to_owned() })
    }

    pub(crate) fn path(&self, id: Uuid) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// How many bytes of the upload are here, if it was begun.
    pub(crate) async fn len(&self, id: Uuid) -> Result<Option<u64>, StoreError> {
        match fs_err::tokio::metadata(self.path(id)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.error("look at a staged upload", e)),
        }
    }

    /// Opens the upload's file, or makes it, and locks it.
    pub(crate) async fn lock(&self, id: Uuid) -> Result<Locked, StoreError> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let path = self.path(id);
            let attempt = blocking(move || try_lock(path)).await;
            match attempt.map_err(|e| self.error("open a staged upload", e))? {
                Some(locked) => return Ok(locked),
                None if Instant::now() >= deadline => return Err(StoreError::InUse(id)),
                None => tokio::time::sleep(LOCK_INTERVAL).await,
            }
        }
    }

    /// Removes uploads that got no byte for `idle` and that nobody receives. Returns how many.
    pub(crate) async fn sweep(&self, idle: Duration) -> Result<u64, StoreError> {
        let folder = self.folder.clone();
        blocking(move || sweep(&folder, idle)).await.map_err(|e| self.error("clear abandoned uploads away", e))
    }

    fn error(&self, doing: &str, source: io::Error) -> StoreError {
        StoreError::io(&self.store, 0, doing, source)
    }
}

/// `None`: somebody else holds the lock, or took the file away while we waited for it.
fn try_lock(path: PathBuf) -> io::Result<Option<Locked>> {
    let file = fs_err::OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(&path)?;
    let (file, _) = file.into_parts();
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(e) => return Err(e.into()),
    }
    let metadata = file.metadata()?;
    // The holder before us may have made a blob of the file: then it is not ours, and must not grow any more.
    if !still_at(&path, metadata.ino()) {
        return Ok(None);
    }
    Ok(Some(Locked { path, len: metadata.len(), file: Arc::new(file) }))
}

fn still_at(path: &Path, inode: u64) -> bool {
    fs_err::metadata(path).is_ok_and(|m| m.ino() == inode)
}

fn sweep(folder: &Path, idle: Duration) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        // A file that went away meanwhile was committed: no fault.
        let Ok(modified) = entry.metadata().and_then(|m| m.modified()) else { continue };
        let is_upload = entry.file_name().to_str().is_some_and(|name| Uuid::try_parse(name).is_ok());
        let is_idle = SystemTime::now().duration_since(modified).is_ok_and(|age| age >= idle);
        if is_upload
            && is_idle
            && try_lock(entry.path())?.is_some_and(|locked| fs_err::remove_file(locked.path).is_ok())
        {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Runs file work on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await?
}
