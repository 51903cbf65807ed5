//! One daemon of the tree: started, awaited until it is ready, started again when it fails, ended.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use farm_daemon::{Backoff, CancellationToken};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};
use tracing::{info, warn};

use super::Layout;
use crate::daemons::Daemon;

/// How long a daemon may take to become ready.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a daemon may take to end: builds under way are given back, answers under way finished.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// The line that a daemon prints when it is ready.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Ready {
    /// Where it listens, if it does.
    #[serde(default)]
    pub listen: Option<String>,
}

/// A daemon that is kept running.
pub(crate) struct Kept {
    daemon: Daemon,
    end: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

/// Starts a daemon, waits until it is ready, and keeps it running from then on.
pub(crate) async fn keep(layout: &Layout, daemon: Daemon) -> anyhow::Result<(Kept, Ready)> {
    let mut started = start(layout, daemon)?;
    let ready = match tokio::time::timeout(START_PATIENCE, readiness(&mut started)).await {
        Ok(Some(ready)) => ready,
        Ok(None) => bail!("the {} did not start; it said:\n{}", daemon.name(), last_words(layout, daemon)),
        Err(_) => bail!(
            "the {} is not ready after {} s; see {}",
            daemon.name(),
            START_PATIENCE.as_secs(),
            layout.log(daemon.name()).display()
        ),
    };
    let end = CancellationToken::new();
    let task = tokio::spawn(supervise(layout.clone(), daemon, started, end.clone()));
    Ok((Kept { daemon, end, task }, ready))
}

impl Kept {
    /// Ends the daemon, in good order where it can.
    pub(crate) async fn end(self) {
        self.end.cancel();
        if self.task.await.is_err() {
            warn!("the {} was not ended in good order", self.daemon.name());
        }
    }
}

/// A process, and the leash it is on: it ends when its standard input does, and that is a pipe that only this process
/// holds, so it cannot outlive us.
struct Leashed {
    child: Child,
    // Apart from the child, because waiting for a child closes its input.
    leash: Option<ChildStdin>,
}

fn start(layout: &Layout, daemon: Daemon) -> anyhow::Result<Leashed> {
    let name = daemon.name();
    let log = fs_err::OpenOptions::new().create(true).append(true).open(layout.log(name))?;
    let mut child = Command::new("/proc/self/exe")
        .args(["run", name, "--with-parent", "--config"])
        .arg(layout.config(name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.into_parts().0)
        // Ctrl-C in a terminal goes to the whole group; who ends when is decided here.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start the {name}"))?;
    let leash = child.stdin.take();
    Ok(Leashed { child, leash })
}

async fn readiness(started: &mut Leashed) -> Option<Ready> {
    let mut lines = BufReader::new(started.child.stdout.take()?).lines();
    let line = lines.next_line().await.ok()??;
    // What it prints later is nobody's; but the pipe must not fill up.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    serde_json::from_str(&line).ok()
}

fn last_words(layout: &Layout, daemon: Daemon) -> String {
    let log = fs_err::read(layout.log(daemon.name())).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

async fn supervise(layout: Layout, daemon: Daemon, mut running: Leashed, end: CancellationToken) {
    let name = daemon.name();
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    loop {
        tokio::select! {
            status = running.child.wait() => {
                let status = status.map(|s| s.to_string()).unwrap_or_else(|e| e.to_string());
                warn!("the {name} ended by itself ({status}); it is started again; see {}", layout.log(name).display());
            }
            () = end.cancelled() => return finish(name, running).await,
        }
        running = loop {
            if !backoff.wait(&end).await || end.is_cancelled() {
                return;
            }
            match start(&layout, daemon) {
                Ok(mut next) => match tokio::time::timeout(START_PATIENCE, readiness(&mut next)).await {
                    Ok(Some(_)) => {
                        info!("the {name} is up again");
                        backoff.reset();
                        break next;
                    }
                    _ => warn!("the {name} does not start; trying again"),
                },
                Err(error) => warn!("{error:#}; trying again"),
            }
        };
    }
}

async fn finish(name: &str, mut running: Leashed) {
    // The signal and not the leash, which leaves an orphan little time to drain.
    if let Some(pid) = running.child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if tokio::time::timeout(END_PATIENCE, running.child.wait()).await.is_err() {
        warn!("the {name} did not end within {} s and is killed", END_PATIENCE.as_secs());
        let _ = running.child.kill().await;
    }
    drop(running.leash);
}
