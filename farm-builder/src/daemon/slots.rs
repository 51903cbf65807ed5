//! The slots: each is a file that is locked by the daemon that has it.
//!
//! So a daemon and its successor on the same host never use more slots together than there are, and those of one that was killed are
//! free at once: the kernel gives its locks back.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use farm_daemon::CancellationToken;
use nix::fcntl::Flock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::native::locks::try_lock;

/// How often to look whether a predecessor has given back a slot. (The kernel tells nobody.)
const LOOK: Duration = Duration::from_millis(500);

/// The slots of this daemon.
#[derive(Debug)]
pub struct Slots {
    folder: PathBuf,
    all: u32,
    free: Arc<Semaphore>,
    keep: watch::Sender<bool>,
}

impl Slots {
    /// So many slots, whose files are in a folder. None is ours before [`Self::attend`].
    pub fn new(folder: PathBuf, all: u32) -> Self {
        Self { folder, all, free: Arc::new(Semaphore::new(0)), keep: watch::Sender::new(true) }
    }

    /// How many there are.
    pub fn all(&self) -> u32 {
        self.all
    }

    /// How many are free.
    pub fn free(&self) -> u32 {
        u32::try_from(self.free.available_permits()).unwrap_or(u32::MAX)
    }

    /// Waits until so many are free.
    pub async fn until_free(&self, number: u32) {
        // Never closed.
        drop(self.free.acquire_many(number.clamp(1, self.all)).await);
    }

    /// Waits until more are free than so many.
    pub async fn until_more_are_free(&self, number: u32) {
        if number >= self.all {
            return std::future::pending().await;
        }
        self.until_free(number + 1).await;
    }

    /// Takes as many as a task weighs. `None`: they are not free.
    pub fn take(&self, weight: u16) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(self.weight(weight)).ok()
    }

    /// A task that weighs more than all of them takes all.
    fn weight(&self, weight: u16) -> u32 {
        u32::from(weight).clamp(1, self.all)
    }

    /// From now on those that are not in use are given to the successor, and those in use when they are free; or, `true`, they are ours
    /// again.
    pub fn keep(&self, keep: bool) {
        self.keep.send_replace(keep);
    }

    /// Gets hold of the slots, and gives them up, until `over`.
    pub async fn attend(&self, over: CancellationToken) -> io::Result<()> {
        let mut held: Vec<Option<Flock<std::fs::File>>> = (0..self.all).map(|_| None).collect();
        let mut keep = self.keep.subscribe();
        let mut told = false;
        loop {
            let keeps = *keep.borrow_and_update();
            if keeps {
                self.get_hold(&mut held)?;
            }
            let elsewhere = held.iter().filter(|slot| slot.is_none()).count();
            let has_all = elsewhere == 0;
            if keeps && !has_all && !told {
                let (all, folder) = (self.all, self.folder.display());
                tracing::info!("{elsewhere} of {all} slots are held by another process, see the locks in {folder}");
            }
            told = !has_all;
            tokio::select! {
                () = over.cancelled() => return Ok(()),
                _ = keep.changed() => {}
                () = tokio::time::sleep(LOOK), if keeps && !has_all => {}
                permit = self.free.acquire(), if !keeps && held.iter().any(Option::is_some) => {
                    if let (Ok(permit), Some(slot)) = (permit, held.iter_mut().find(|slot| slot.is_some())) {
                        permit.forget();
                        *slot = None;
                    }
                }
            }
        }
    }

    /// Takes what nobody has.
    fn get_hold(&self, held: &mut [Option<Flock<std::fs::File>>]) -> io::Result<()> {
        for (number, slot) in held.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
            if let Some(lock) = try_lock(&file(&self.folder, number))? {
                *slot = Some(lock);
                self.free.add_permits(1);
            }
        }
        Ok(())
    }
}

fn file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.lock"))
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    /// Slots that are attended to until they are dropped.
    fn attended(folder: &Path) -> (Arc<Slots>, tokio_util::sync::DropGuard) {
        let slots = Arc::new(Slots::new(folder.to_owned(), 3));
        let over = CancellationToken::new();
        let (attendant, until) = (Arc::clone(&slots), over.clone());
        tokio::spawn(async move { attendant.attend(until).await });
        (slots, over.drop_guard())
    }

    #[tokio::test]
    async fn a_heavy_task_takes_many_and_one_that_is_too_heavy_all() {
        let folder = tempdir().unwrap();
        let (slots, _over) = attended(folder.path());
        slots.until_free(3).await;
        let two = slots.take(2).unwrap();
        assert_eq!(slots.free(), 1);
        assert!(slots.take(2).is_none());
        drop(two);
        let _all = slots.take(64).unwrap();
        assert_eq!(slots.free(), 0);
    }

    #[tokio::test]
    async fn a_successor_gets_what_is_free_at_once_and_the_rest_when_its_predecessor_is_done() {
        let folder = tempdir().unwrap();
        let (first, _first) = attended(folder.path());
        first.until_free(3).await;
        let at_work = first.take(2).unwrap();
        first.keep(false);
        let (second, _second) = attended(folder.path());
        second.until_free(1).await;
        assert_eq!(second.free(), 1);
        drop(at_work);
        second.until_free(3).await;
        assert_eq!(first.free(), 0);
        // Back again.
        second.keep(false);
        first.keep(true);
        first.until_free(3).await;
    }
}
