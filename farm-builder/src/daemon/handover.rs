//! Upgrade by restart, without losing a build: the daemon starts its successor, which takes over name, slots and tasks, and ends
//! itself when its last build has ended.
//!
//! The two hold the ends of a line, which is the successor's standard input. The successor writes a word when the hub has taken it.
//! When it is told to end it hangs up, which tells its predecessor to end too; and it waits until that one has hung up.

use std::{
    ffi::OsString,
    os::fd::{AsFd as _, OwnedFd},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use farm_daemon::CancellationToken;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    process::Command,
    time::timeout,
};

/// Tells a daemon that it is a successor.
const VARIABLE: &str = "FARM_BUILDER_SUCCESSOR";

/// What the successor says when it has taken over.
const READY: u8 = b'!';

/// How long it may take to do so.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of a daemon whose end and readiness somebody watches who could not watch a successor.
const WATCHED: [&str; 2] = ["--with-parent", "--daemon"];

/// The line to the other one.
#[derive(Debug)]
pub struct Line(UnixStream);

impl Line {
    /// Waits until the other one hangs up.
    pub async fn hung_up(&mut self) {
        let mut byte = [0];
        while self.0.read(&mut byte).await.is_ok_and(|read| read > 0) {}
    }

    /// Hangs up.
    pub async fn hang_up(&mut self) {
        // Whoever is not there any more needs not be told.
        let _ = self.0.shutdown().await;
    }

    /// Says that we have taken over.
    pub async fn say_ready(&mut self) {
        let _ = self.0.write_all(&[READY]).await;
    }
}

/// The line to the predecessor, if there is one.
pub fn predecessor() -> anyhow::Result<Option<Line>> {
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(None);
    }
    let line = std::io::stdin().as_fd().try_clone_to_owned()?;
    let line = std::os::unix::net::UnixStream::from(line);
    line.set_nonblocking(true)?;
    let line =
        UnixStream::from_std(line).with_context(|| format!("{VARIABLE} is set, and standard input is no socket"))?;
    Ok(Some(Line(line)))
}

/// The command line by which this daemon was started, for a successor: the program may be another one by now.
#[derive(Debug)]
pub struct Successor(Vec<OsString>);

impl Successor {
    /// Makes sure that there can be one: that nobody watches this daemon who would lose it, and that the program as it is now takes the
    /// configuration as it is now.
    pub async fn prepare() -> anyhow::Result<Self> {
        let words: Vec<_> = std::env::args_os().collect();
        if let Some(option) = WATCHED.iter().find(|option| words.iter().any(|word| word == *option)) {
            bail!("a builder that was started with {option} cannot have a successor; end it and start it anew");
        }
        let mut check = command(&words)?;
        let output = check.arg("--check-config").stdin(Stdio::null()).kill_on_drop(true).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the new program does not take the configuration: {}", said.trim());
        Ok(Self(words))
    }

    /// Starts it, and waits until it has taken over, or this daemon is told to end.
    pub async fn start(&self, shutdown: &CancellationToken) -> anyhow::Result<Line> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut ours = UnixStream::from_std(ours)?;
        let mut child = command(&self.0)?.env(VARIABLE, "1").stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        let pid = child.id().context("it has ended at once")?;
        let mut word = [0];
        match shutdown.run_until_cancelled(timeout(PATIENCE, ours.read_exact(&mut word))).await {
            Some(Ok(Ok(_))) if word == [READY] => {}
            other => {
                let _ = child.kill().await;
                match other {
                    None => bail!("this daemon was told to end"),
                    Some(Err(_)) => bail!("it was not ready after {} seconds", PATIENCE.as_secs()),
                    _ => bail!("it ended before it was ready; its log says why"),
                }
            }
        }
        tracing::info!(successor = pid, "a successor has taken over; this daemon ends with its last build");
        farm_daemon::main_process(pid);
        // It becomes the child of whoever takes in orphans; while we live it must not stay a zombie.
        tokio::spawn(async move { child.wait().await });
        Ok(Line(ours))
    }
}

fn command(words: &[OsString]) -> anyhow::Result<Command> {
    let (program, arguments) = words.split_first().context("this daemon does not know its own name")?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}
