//! Ctrl-C.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// Ctrl-C as something to wait for, in place of the end of the process.
#[derive(Debug)]
pub struct Interrupt(Signal);

impl Interrupt {
    /// From now on Ctrl-C is ours.
    pub fn listen() -> Result<Self, Failure> {
        signal(SignalKind::interrupt())
            .map(Self)
            .map_err(|error| Failure::Local(format!("cannot listen for Ctrl-C: {error}")))
    }

    /// Ends when the user has pressed Ctrl-C.
    pub async fn wait(&mut self) {
        // The stream of signals never ends.
        self.0.recv().await;
    }
}
