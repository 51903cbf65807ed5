//! Starts helper processes and watches them to their end.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    process::{Child, Command},
};

use super::{
    ids::IdMap,
    watch::{Clock, FollowError, Journal, Stop},
};
use crate::sandbox::{ARGUMENT, Answer, Order, Reply};

/// The longest answer.
const ANSWER_BYTES: u64 = 16 << 20;

/// How long a helper may take to die before it is killed by force.
const PATIENCE: Duration = Duration::from_secs(1);

/// Starts helper processes.
#[derive(Debug, Clone)]
pub struct Helpers {
    /// The program to start.
    pub executable: PathBuf,
    /// The ids it gets.
    pub ids: IdMap,
    /// Its working directory.
    pub data: PathBuf,
}

/// How a step ended.
#[derive(Debug)]
pub enum StepEnd {
    /// The helper came to its end and says this.
    Answer(Answer),
    /// It was stopped.
    Stopped(Stop),
}

impl Helpers {
    /// Runs one step. When this returns, and soon after its future is dropped, nothing that the step started lives on.
    pub async fn run(&self, order: &Order, journal: &mut Journal, clock: &Clock) -> io::Result<StepEnd> {
        let (mut child, mut socket) = self.start().await?;
        let mut log = child.stderr.take().ok_or_else(|| io::Error::other("the helper has no log"))?;
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let work = async {
            // A helper that dies early says why in the log, so a failure to write to it is not the news.
            let _ = socket.write_all(&line).await;
            let follow = journal.follow(&mut log, clock.silence);
            let answer = async { read_answer(&mut socket).await.map_err(FollowError::Io) };
            // Side by side, since a long answer waits for its reader while the log waits for the helper's end. A silent helper
            // that does not end does not answer either.
            tokio::try_join!(follow, answer).map(|((), answer)| answer)
        };
        let ended = tokio::select! {
            biased;
            stop = clock.strikes() => Err(FollowError::Stop(stop)),
            ended = work => ended,
        };
        drop(socket);
        let status = reap(&mut child).await?;
        match ended {
            Err(FollowError::Stop(stop)) => Ok(StepEnd::Stopped(stop)),
            Err(FollowError::Io(error)) => Err(error),
            Ok(None) => Err(io::Error::other(format!("the helper died ({status}); the log says why"))),
            Ok(Some(reply)) => {
                if matches!(order, Order::Run { .. }) {
                    journal.used(reply.usage);
                }
                Ok(StepEnd::Answer(reply.answer))
            }
        }
    }

    async fn start(&self) -> io::Result<(Child, UnixStream)> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        // Started through its open file: so it may lie in a folder that the namespace's ids cannot enter.
        let executable = fs_err::tokio::File::open(&self.executable).await?.into_parts().0.into_std().await;
        let child = Command::new("unshare")
            .args(["--user", "--mount", "--propagation=private", "--pid", "--fork", "--mount-proc", "--ipc", "--uts"])
            .args(&self.ids.options)
            .args(["--", "/proc/self/fd/0", ARGUMENT])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .current_dir(&self.data)
            .stdin(Stdio::from(OwnedFd::from(executable)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot start unshare (of util-linux): {error}")))?;
        Ok((child, UnixStream::from_std(ours)?))
    }
}

/// Reads the answer; `None` if the helper died without one.
async fn read_answer(socket: &mut UnixStream) -> io::Result<Option<Reply>> {
    let mut line = Vec::new();
    BufReader::new(socket.take(ANSWER_BYTES)).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Waits for the end of a helper whose socket is closed, and so for the end of all that it started.
async fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            // The helper dies with unshare, its parent.
            child.kill().await?;
            child.wait().await
        }
    }
}
