//! A helper that is started before it is needed: one with namespaces of its own takes 8 ms, which a build would wait for.
//!
//! Whenever one is needed the spare is taken, and the next is started. It knows nothing yet, is in no control group, and dies with the
//! daemon as every helper does.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::UnixStream, process::Child, time::sleep};

use super::helper::Helpers;

/// How long a spare is kept: it sees the mounts of the host as they were when it was started, and holds them. Builds that take longer
/// do not notice 8 ms.
const KEPT: Duration = Duration::from_secs(10);

/// A helper that waits for its order, and the line to it.
type Started = (Child, UnixStream);

/// The spare, if there is one.
#[derive(Debug, Default)]
pub struct Spare(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ready: Option<Started>,
    /// Whether one is being started.
    is_coming: bool,
    /// How many there were.
    number: u64,
}

impl Spare {
    /// A helper with namespaces of its own: the spare, or a new one where there is none.
    pub async fn take(helpers: &Helpers) -> io::Result<Started> {
        let mut ready = helpers.spare.state().ready.take();
        let lives = |(child, _): &mut Started| matches!(child.try_wait(), Ok(None));
        let started = match ready.take_if(lives) {
            Some(spare) => spare,
            None => helpers.start(None).await?,
        };
        if !std::mem::replace(&mut helpers.spare.state().is_coming, true) {
            tokio::spawn(renew(helpers.clone()));
        }
        Ok(started)
    }

    fn put(&self, started: io::Result<Started>) -> u64 {
        let mut state = self.state();
        state.is_coming = false;
        state.number += 1;
        // Where it cannot be started, whoever needs one is told why.
        state.ready = started.ok();
        state.number
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

/// Starts the next spare and discards it when it has become too old.
async fn renew(helpers: Helpers) {
    let started = helpers.start(None).await;
    let number = helpers.spare.put(started);
    // A driver that ends takes its spare along.
    let spare = Arc::downgrade(&helpers.spare);
    drop(helpers);
    sleep(KEPT).await;
    if let Some(spare) = spare.upgrade() {
        spare.discard(number);
    }
}
