//! Tells those who started the daemon how it is: systemd by its socket, a parent by a line on standard output.

use std::{
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

use sd_notify::NotifyState;
use tracing::{info, warn};

use crate::http::Address;

/// Whether a parent waits for the line. Standard output is one per process, and so is this.
static PARENT_WAITS: AtomicBool = AtomicBool::new(false);

pub(crate) fn expect_parent() {
    PARENT_WAITS.store(true, Ordering::Relaxed);
}

/// Says that the daemon does its work from now on, and where it listens, if it does.
///
/// systemd gets `READY=1`; with `--with-parent`, standard output gets `{"ready":true,"listen":"127.0.0.1:8000"}`.
pub fn ready(listen: Option<&Address>) {
    match listen {
        Some(address) => info!(listen = %address, "ready"),
        None => info!("ready"),
    }
    tell(&[NotifyState::Ready]);
    if PARENT_WAITS.load(Ordering::Relaxed) {
        // A parent that does not read has gone; the end of standard input tells that better.
        let _ = writeln!(std::io::stdout(), "{}", readiness(listen));
    }
}

/// Shows a sentence in `systemctl status`.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell systemd");
    }
}

fn readiness(listen: Option<&Address>) -> serde_json::Value {
    let mut line = serde_json::json!({ "ready": true });
    if let Some(address) = listen {
        line["listen"] = address.to_string().into();
    }
    line
}
