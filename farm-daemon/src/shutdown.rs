//! What signals do: at the first SIGTERM or SIGINT a daemon drains, at the second it exits at once; SIGHUP reloads.

use std::{
    io::{IsTerminal as _, Read as _},
    process, thread,
    time::Duration,
};

use anyhow::Context as _;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{notify, reload};

/// How long a daemon may drain once its parent is gone: nobody is left who would wait for it or send a second signal.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);

/// Cancels the token at the first SIGTERM or SIGINT (graceful drain) and exits at the second. Reloads at SIGHUP, which on a
/// terminal means that the terminal is gone, so there the daemon ends.
///
/// It listens in a thread of its own, so that the second signal works however stuck the runtime is.
pub(crate) fn on_signal(shutdown: CancellationToken, with_parent: bool) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("cannot listen for signals")?;
    let on_terminal = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    let listen = move || {
        for signal in signals.forever() {
            // Ctrl-C reaches the whole group of processes. The parent heard it too and decides.
            if with_parent && signal == SIGINT {
                continue;
            }
            if signal == SIGHUP && !on_terminal {
                notify::reloading(reload::run);
                continue;
            }
            if shutdown.is_cancelled() {
                warn!("a second signal: ending at once");
                process::exit(128 + signal);
            }
            info!("signal received: finishing what is under way (a second signal ends at once)");
            begin(&shutdown);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(listen).context("cannot start the thread for signals")?;
    Ok(())
}

/// Cancels the token when standard input ends, which is when the parent that holds its other end dies, however it dies.
pub(crate) fn on_parent_death(shutdown: CancellationToken) -> anyhow::Result<()> {
    let listen = move || {
        let mut byte = [0];
        let mut stdin = std::io::stdin().lock();
        while stdin.read(&mut byte).is_ok_and(|n| n > 0) {}
        info!("standard input ended: the parent is gone, so this daemon ends too");
        begin(&shutdown);
        thread::sleep(ORPHAN_GRACE);
        warn!("not done {} seconds after the parent went: ending at once", ORPHAN_GRACE.as_secs());
        process::exit(1);
    };
    thread::Builder::new().name("parent".to_owned()).spawn(listen).context("cannot start the thread for the parent")?;
    Ok(())
}

fn begin(shutdown: &CancellationToken) {
    notify::stopping();
    shutdown.cancel();
}
