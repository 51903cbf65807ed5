//! Helpers that are started before they are needed: one with namespaces of its own takes 8 ms, and one for the first step of a build in
//! those namespaces 5 ms, which the build would wait for.
//!
//! Whenever one is needed the spare is taken, and the next is started. It knows nothing yet, is in no control group, and dies with the
//! daemon as every helper does.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::UnixStream, process::Child, time::sleep};

use super::helper::{Helpers, child_of};

/// How long a spare is kept: it sees the mounts of the host as they were when it was started, and holds them. Builds that take longer
/// do not notice 8 ms.
const KEPT: Duration = Duration::from_secs(10);

/// A helper that waits for its order, and the line to it.
pub type Started = (Child, UnixStream);

/// A helper with namespaces of its own, and perhaps one that is in them.
#[derive(Debug)]
pub struct Pair {
    /// The first.
    pub outer: Started,
    /// The other one.
    pub inner: Option<Started>,
}

/// The spare, if there is one.
#[derive(Debug, Default)]
pub struct Spare(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ready: Option<Pair>,
    /// Whether one is being started.
    is_coming: bool,
    /// How many there were.
    number: u64,
}

impl Spare {
    /// A helper with namespaces of its own: the spare, or a new one where there is none.
    pub async fn take(helpers: &Helpers) -> io::Result<Pair> {
        let ready = helpers.spare.state().ready.take();
        let taken = match ready.and_then(Pair::living) {
            Some(spare) => spare,
            None => Pair { outer: helpers.start(None).await?, inner: None },
        };
        if !std::mem::replace(&mut helpers.spare.state().is_coming, true) {
            tokio::spawn(renew(helpers.clone()));
        }
        Ok(taken)
    }

    fn put(&self, started: io::Result<Started>) -> u64 {
        let mut state = self.state();
        state.is_coming = false;
        state.number += 1;
        // Where it cannot be started, whoever needs one is told why.
        state.ready = started.ok().map(|outer| Pair { outer, inner: None });
        state.number
    }

    /// The other one of a pair has come. It goes if the first was taken meanwhile.
    fn complete(&self, number: u64, inner: Started) {
        let mut state = self.state();
        if state.number == number
            && let Some(pair) = &mut state.ready
        {
            pair.inner = Some(inner);
        }
    }

    fn discard(&self, number: u64) {
        let mut state = self.state();
        if state.number == number {
            state.ready = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pair {
    /// What of it lives; the inner one does not without the outer one.
    fn living(mut self) -> Option<Self> {
        let lives = |(child, _): &mut Started| matches!(child.try_wait(), Ok(None));
        if !lives(&mut self.outer) {
            return None;
        }
        self.inner = self.inner.take_if(lives);
        Some(self)
    }
}

/// The process whose namespaces can be entered, once they are there. The helper says so with its first word, which is not taken here.
async fn process_of((child, socket): &Started) -> io::Result<u32> {
    socket.readable().await?;
    child_of(child.id())
}

/// Starts the next spare and discards it when it has become too old.
async fn renew(helpers: Helpers) {
    let outer = helpers.start(None).await;
    let process = match &outer {
        Ok(outer) => process_of(outer).await.ok(),
        Err(_) => None,
    };
    let number = helpers.spare.put(outer);
    if let Some(process) = process
        && let Ok(inner) = helpers.start(Some(process)).await
    {
        helpers.spare.complete(number, inner);
    }
    // A driver that ends takes its spare along.
    let spare = Arc::downgrade(&helpers.spare);
    drop(helpers);
    sleep(KEPT).await;
    if let Some(spare) = spare.upgrade() {
        spare.discard(number);
    }
}
