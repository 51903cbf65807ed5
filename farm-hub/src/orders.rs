//! Bells for builders, on which calls of theirs wait.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use farm_types::BuilderId;
use tokio::sync::watch;

/// A bell per builder. It only says that there is something to look for. Builders are few and stay, so bells do too.
#[derive(Default)]
pub(crate) struct Orders(Mutex<HashMap<BuilderId, watch::Sender<()>>>);

impl Orders {
    /// Hears every ring from now on, also one between two waits.
    pub(crate) fn subscribe(&self, builder: BuilderId) -> watch::Receiver<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(builder).or_default().subscribe()
    }

    pub(crate) fn ring(&self, builder: BuilderId) {
        if let Some(bell) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&builder) {
            bell.send_replace(());
        }
    }

    /// After notifications may have been lost.
    pub(crate) fn ring_all(&self) {
        for bell in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            bell.send_replace(());
        }
    }
}
