//! What a daemon does at SIGHUP: open its log anew, read its certificates anew.

use std::sync::{Mutex, PoisonError};

use tracing::info;

type Hook = Box<dyn Fn() + Send>;

/// A process has one SIGHUP, so this is one per process.
static HOOKS: Mutex<Vec<Hook>> = Mutex::new(Vec::new());

/// Calls this at each SIGHUP, after all that were named before it. It logs its own errors.
pub(crate) fn on_reload(hook: impl Fn() + Send + 'static) {
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(hook));
}

/// Calls them all.
pub(crate) fn run() {
    for hook in HOOKS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        hook();
    }
    info!("reloaded: log file and certificates are read anew, the configuration is not");
}
