//! Who watches which job: one listener for the process, and one cell per job that somebody watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use farm_types::JobId;
use tokio::sync::watch;

/// Wakes those who watch a job when it changed.
///
/// Several changes in a row wake once: a watcher looks at the job itself, so only the latest state counts.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    jobs: Arc<Mutex<HashMap<JobId, Cell>>>,
}

#[derive(Debug, Default)]
struct Cell {
    changes: watch::Sender<()>,
    watchers: usize,
}

impl Watch {
    /// Watches a job. Look at it after this call, not before: what happens in between is then not missed.
    pub fn job(&self, job: JobId) -> Watcher {
        let mut jobs = self.lock();
        let cell = jobs.entry(job).or_default();
        cell.watchers += 1;
        Watcher { watch: self.clone(), job, changes: cell.changes.subscribe() }
    }

    /// How many jobs are watched.
    pub fn watched(&self) -> usize {
        self.lock().len()
    }

    /// Any job may have changed.
    pub(crate) fn all_changed(&self) {
        self.lock().values().for_each(|cell| cell.changes.send_modify(|()| {}));
    }

    /// A job has changed.
    pub(crate) fn changed(&self, job: JobId) {
        if let Some(cell) = self.lock().get(&job) {
            cell.changes.send_modify(|()| {});
        }
    }

    /// The map is whole after each single step, so a panic elsewhere does no harm to it.
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Cell>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches a job. The last one to go clears its cell away.
#[derive(Debug)]
pub struct Watcher {
    watch: Watch,
    job: JobId,
    changes: watch::Receiver<()>,
}

impl Watcher {
    /// Waits until the job may have changed since the last call.
    pub async fn changed(&mut self) {
        // The sender lives as long as this watcher does.
        let _ = self.changes.changed().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut jobs = self.watch.lock();
        if let Some(cell) = jobs.get_mut(&self.job) {
            cell.watchers -= 1;
            if cell.watchers == 0 {
                jobs.remove(&self.job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_change_between_subscribing_and_waiting_is_not_missed_and_many_wake_once() {
        let watch = Watch::default();
        let mut watcher = watch.job(JobId(7));
        assert!(watcher.changed().now_or_never().is_none());
        watch.changed(JobId(8));
        assert!(watcher.changed().now_or_never().is_none());
        (0..1000).for_each(|_| watch.changed(JobId(7)));
        assert!(watcher.changed().now_or_never().is_some());
        assert!(watcher.changed().now_or_never().is_none());
    }

    #[test]
    fn nothing_is_left_of_watchers_that_went() {
        let watch = Watch::default();
        let (first, second) = (watch.job(JobId(7)), watch.job(JobId(7)));
        drop(first);
        assert_eq!(watch.watched(), 1);
        drop(second);
        assert_eq!(watch.watched(), 0);
    }
}
