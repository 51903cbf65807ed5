//! Rights to change something and rights that it stays, among the builds of this process and among the builders of this host.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use farm_types::Cause;
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::{
    failure::End,
    files::beside,
    watch::{Clock, Journal},
};

/// How often to ask for a lock that another process holds.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// How often to ask for the right that something stays: whoever removes it is done with its name in a moment.
const USE_PAUSE: Duration = Duration::from_millis(5);

/// Takes an exclusive lock of a file, which is made if missing; `None` if another process has it. The kernel gives it back at the end of
/// the process, however that comes. Who holds it may remove the file.
pub fn try_lock(path: &Path) -> io::Result<Option<Flock<File>>> {
    try_flock(path, FlockArg::LockExclusiveNonblock)
}

fn try_flock(path: &Path, how: FlockArg) -> io::Result<Option<Flock<File>>> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    loop {
        let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)?.into_file();
        let lock = match Flock::lock(file, how) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, error)) => return Err(error.into()),
        };
        // Whoever had it may have removed the file meanwhile; then this is the lock of nothing.
        let ours = lock.metadata()?;
        match fs_err::symlink_metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => return Ok(Some(lock)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// As long as it lives, what it was taken of is not evicted: neither by this process nor by another builder of this host.
#[derive(Debug)]
pub struct Use {
    _lock: Flock<File>,
}

impl Use {
    /// The right that what lies, or is about to lie, at `path` stays. Taking it is the use that eviction goes by.
    pub async fn of(path: &Path) -> io::Result<Self> {
        let name = beside(path, "use");
        loop {
            if let Some(lock) = try_flock(&name, FlockArg::LockSharedNonblock)? {
                lock.set_modified(SystemTime::now())?;
                return Ok(Self { _lock: lock });
            }
            tokio::time::sleep(USE_PAUSE).await;
        }
    }

    /// The right to remove what lies at `path`, unless it is in use.
    pub fn of_nobody(path: &Path) -> io::Result<Option<Flock<File>>> {
        try_lock(&beside(path, "use"))
    }

    /// When what lies at `path` was used last, as far as is known.
    pub fn last(path: &Path) -> SystemTime {
        let modified = fs_err::metadata(beside(path, "use")).and_then(|status| status.modified());
        modified.unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// Rights to change something.
#[derive(Debug, Default)]
pub struct Locks {
    /// Whose turn it is among the builds of this process. The others of this host are kept away by a lock of a file.
    turns: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

impl Locks {
    /// Waits for the right to change `path`, which is relative to the data folder.
    pub async fn lock(&self, data: &Path, path: &Path, journal: &Journal, clock: &Clock) -> Result<Lock, End> {
        let turn = self.turn(path);
        let failed = |error: io::Error| {
            End::fault(journal, Cause::Chroot, format!("cannot lock {} in {}: {error}", path.display(), data.display()))
        };
        let wait = async {
            let turn = turn.lock_owned().await;
            let name = beside(&data.join(path), "lock");
            loop {
                if let Some(file) = try_lock(&name).map_err(failed)? {
                    return Ok(Lock { _file: LockFile { path: name, _lock: file }, _turn: turn });
                }
                tokio::time::sleep(LOCK_PAUSE).await;
            }
        };
        tokio::select! {
            lock = wait => lock,
            () = clock.cancel.cancelled() => Err(End::Cancelled),
        }
    }

    fn turn(&self, path: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(path.to_owned()).or_default().clone()
    }
}

/// The right to change something, until dropped.
#[derive(Debug)]
pub struct Lock {
    // In this order: the next build of this process is not to meet the lock of the last one.
    _file: LockFile,
    _turn: tokio::sync::OwnedMutexGuard<()>,
}

/// A locked file that goes with its lock.
#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Where it stays, it is in nobody's way.
        let _ = fs_err::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_in_use_is_nobodys_to_remove() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("layer");
        let (one, two) = (Use::of(&path).await.unwrap(), Use::of(&path).await.unwrap());
        drop(one);
        assert!(Use::of_nobody(&path).unwrap().is_none());
        drop(two);
        assert!(Use::of_nobody(&path).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_lock_whose_file_was_removed_is_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("layer");
        let removing = Use::of_nobody(&path).unwrap().unwrap();
        let (waits, removes) = (Use::of(&path), async {
            tokio::task::yield_now().await;
            fs_err::remove_file(beside(&path, "use")).unwrap();
            drop(removing);
        });
        let (taken, ()) = tokio::join!(waits, removes);
        let _taken = taken.unwrap();
        assert!(Use::of_nobody(&path).unwrap().is_none());
        assert!(Use::last(&path) > SystemTime::UNIX_EPOCH);
    }
}
