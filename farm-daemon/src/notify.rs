//! Tells those who started the daemon how it is: systemd by its socket, a parent by a line on standard output, the
//! command that put it into the background by a pipe.

use std::{
    io::{PipeWriter, Write as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sd_notify::NotifyState;
use tracing::{info, warn};

use crate::{background, http::Address};

/// Whether a parent waits for the line. Standard output is one per process, and so is this.
static PARENT_WAITS: AtomicBool = AtomicBool::new(false);

/// Whether the daemon has said that it is ready.
static READY: AtomicBool = AtomicBool::new(false);

/// The pipe to the command that waits until the daemon is ready. A process has one at most.
static STARTER: Mutex<Option<PipeWriter>> = Mutex::new(None);

pub(crate) fn expect_parent() {
    PARENT_WAITS.store(true, Ordering::Relaxed);
}

pub(crate) fn expect_starter(pipe: PipeWriter) {
    *STARTER.lock().unwrap_or_else(PoisonError::into_inner) = Some(pipe);
}

/// Says that the daemon does its work from now on, and where it listens, if it does.
///
/// systemd gets `READY=1`; with `--with-parent`, standard output gets `{"ready":true,"listen":"127.0.0.1:8000"}`; with
/// `--daemon`, the command that started the daemon ends.
pub fn ready(listen: Option<&Address>) {
    match listen {
        Some(address) => info!(listen = %address, "ready"),
        None => info!("ready"),
    }
    READY.store(true, Ordering::Relaxed);
    tell(&[NotifyState::Ready]);
    tell_starter(background::READY);
    if PARENT_WAITS.load(Ordering::Relaxed) {
        // A parent that does not read has gone; the end of standard input tells that better.
        let _ = writeln!(std::io::stdout(), "{}", readiness(listen));
    }
}

/// Shows a sentence in `systemctl status`.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Says that another process, a child, is the daemon from now on.
pub fn main_process(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Says why the daemon did not become ready, if that is still awaited.
pub(crate) fn failed(why: &str) {
    tell_starter(why);
}

/// Does what makes a daemon up to date again, and tells systemd when it begins and when it is done (`notify-reload`).
pub(crate) fn reloading(work: impl FnOnce()) {
    // Before the daemon is ready, the end of this must not be taken for that.
    let ready = READY.load(Ordering::Relaxed);
    if ready {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => {
                warn!(%error, "the system does not tell its monotonic time, so systemd is not told of the reload")
            }
        }
    }
    work();
    if ready {
        tell(&[NotifyState::Ready]);
    }
}

pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell systemd");
    }
}

/// The pipe is closed by it: there is nothing to say after the first words.
fn tell_starter(words: &str) {
    let pipe = STARTER.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut pipe) = pipe {
        // Who started the daemon may have been interrupted meanwhile. The daemon goes on.
        let _ = pipe.write_all(words.as_bytes());
    }
}

fn readiness(listen: Option<&Address>) -> serde_json::Value {
    let mut line = serde_json::json!({ "ready": true });
    if let Some(address) = listen {
        line["listen"] = address.to_string().into();
    }
    line
}
