//! What this builder holds: the leases, their renewal, and orders to stop.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use farm_daemon::{Backoff, CancellationToken};
use farm_types::{LeaseKey, Outcome, TaskId};
use tokio::{sync::watch, time::Instant};

use super::hub::Hub;

/// A renewal that is answered sooner than this, without orders, comes from a hub that is about to end.
const SHORTEST_RENEWAL: Duration = Duration::from_secs(1);

/// All leases that this builder holds.
#[derive(Debug)]
pub struct Board {
    held: Mutex<HashMap<TaskId, (LeaseKey, Arc<Order>)>>,
    changes: watch::Sender<()>,
}

/// The order to stop, of one lease.
#[derive(Debug, Default)]
pub struct Order {
    stop: CancellationToken,
    why: Mutex<Option<Why>>,
}

/// Why a build was ordered to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The lease is gone: the task was cancelled, or somebody else has it.
    Gone(Outcome),
    /// The builder ends and gives its tasks back.
    GiveBack,
}

impl Order {
    /// Cancelled when the order is given.
    pub fn token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Why, if it was given.
    pub fn why(&self) -> Option<Why> {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it. The first reason counts, but for one: what is gone cannot be given back.
    pub fn give(&self, reason: Why) {
        let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        if why.is_none() || matches!(reason, Why::Gone(_)) {
            *why = Some(reason);
        }
        drop(why);
        self.stop.cancel();
    }
}

/// A lease on the board. Dropped, it is renewed no more.
#[derive(Debug)]
pub struct Held {
    board: Arc<Board>,
    pub key: LeaseKey,
    pub order: Arc<Order>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.board.held();
        if held.get(&self.key.task).is_some_and(|(key, _)| *key == self.key) {
            held.remove(&self.key.task);
        }
        drop(held);
        self.board.changes.send_replace(());
    }
}

impl Board {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), changes: watch::Sender::default() })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TaskId, (LeaseKey, Arc<Order>)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a lease renewed from now on. (The same task in a later attempt replaces an earlier one, which is over then.)
    pub fn hold(self: &Arc<Self>, key: LeaseKey) -> Held {
        let order = Arc::new(Order::default());
        if let Some((_, earlier)) = self.held().insert(key.task, (key, order.clone())) {
            earlier.give(Why::Gone(Outcome::Lost));
        }
        self.changes.send_replace(());
        Held { board: self.clone(), key, order }
    }

    /// Orders all builds to stop, to be given back.
    pub fn give_all_back(&self) {
        for (_, order) in self.held().values() {
            order.give(Why::GiveBack);
        }
    }

    fn keys(&self) -> Vec<LeaseKey> {
        self.held().values().map(|(key, _)| *key).collect()
    }

    /// Renews all leases, every so often in one call that waits for orders, until `over`.
    pub async fn keep_renewed(&self, hub: &Hub, every: Duration, over: CancellationToken) {
        let mut changes = self.changes.subscribe();
        let mut backoff = Backoff::new(Duration::from_millis(250), every / 4);
        loop {
            changes.mark_unchanged();
            let keys = self.keys();
            let renewal = async {
                if keys.is_empty() { std::future::pending().await } else { hub.note(hub.renew(keys, every).await) }
            };
            let began = Instant::now();
            // A lease that comes while the call waits is to be in the next call at once: for its orders.
            let answer = tokio::select! {
                () = over.cancelled() => return,
                _ = changes.changed() => continue,
                answer = renewal => answer,
            };
            match answer {
                Ok(renewed) => {
                    backoff.reset();
                    for gone in &renewed.gone {
                        self.stop(gone.task, gone.attempt, gone.outcome);
                    }
                    if renewed.gone.is_empty() && began.elapsed() < SHORTEST_RENEWAL {
                        over.run_until_cancelled(tokio::time::sleep(SHORTEST_RENEWAL)).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "leases cannot be renewed at the moment; builds go on");
                    // A lease is worth more than what a hub asks for: it is renewed in time.
                    let asked = error.retry_after().map(|asked| asked.min(every / 4));
                    backoff.wait_as_asked(asked, &over).await;
                }
            }
        }
    }

    fn stop(&self, task: TaskId, attempt: farm_types::AttemptNumber, outcome: Outcome) {
        let mut held = self.held();
        if held.get(&task).is_some_and(|(key, _)| key.attempt == attempt)
            && let Some((_, order)) = held.remove(&task)
        {
            tracing::info!(task.id = %task, %attempt, %outcome, "the lease is gone: stopping the build");
            order.give(Why::Gone(outcome));
        }
    }
}

#[cfg(test)]
mod tests {
    use farm_types::{AttemptNumber, LeaseToken};
    use uuid::Uuid;

    use super::*;

    fn key(task: i64, attempt: i32) -> LeaseKey {
        LeaseKey { task: TaskId(task), attempt: AttemptNumber(attempt), token: LeaseToken(Uuid::nil()) }
    }

    #[test]
    fn a_lease_is_renewed_until_it_is_dropped_or_gone() {
        let board = Board::new();
        let one = board.hold(key(1, 1));
        let two = board.hold(key(2, 1));
        assert_eq!(board.keys().len(), 2);
        board.stop(TaskId(1), AttemptNumber(1), Outcome::Cancelled);
        assert_eq!(one.order.why(), Some(Why::Gone(Outcome::Cancelled)));
        assert!(one.order.token().is_cancelled() && !two.order.token().is_cancelled());
        drop(two);
        assert!(board.keys().is_empty());
    }

    #[test]
    fn a_later_attempt_at_the_same_task_ends_the_earlier_one_and_survives_its_end() {
        let board = Board::new();
        let earlier = board.hold(key(1, 1));
        let _later = board.hold(key(1, 2));
        assert!(earlier.order.token().is_cancelled());
        drop(earlier);
        board.stop(TaskId(1), AttemptNumber(1), Outcome::Lost);
        assert_eq!(board.keys(), [key(1, 2)]);
    }

    #[test]
    fn what_is_gone_cannot_be_given_back() {
        let order = Order::default();
        order.give(Why::GiveBack);
        order.give(Why::Gone(Outcome::Lost));
        order.give(Why::GiveBack);
        assert_eq!(order.why(), Some(Why::Gone(Outcome::Lost)));
    }
}
