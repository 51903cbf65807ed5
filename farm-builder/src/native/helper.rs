//! Starts helper processes and watches them to their end.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Interest},
    net::UnixStream,
    process::{Child, Command},
};

use super::{
    cell::Cell,
    ids::IdMap,
    spare::Spare,
    watch::{Clock, FollowError, Journal, Stop},
};
use crate::{
    cgroup::Entrance,
    sandbox::{ARGUMENT, Answer, Errand, Order, Reply, send_doors},
};

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
    /// One that is started ahead.
    pub spare: Arc<Spare>,
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
    /// Runs one step of the farm's own. When this returns, and soon after its future is dropped, nothing that the step started
    /// lives on.
    pub async fn run(&self, order: &Order, journal: &mut Journal, clock: &Clock) -> io::Result<StepEnd> {
        self.run_in(None, order, journal, clock).await
    }

    /// The same in the cell of a build.
    pub async fn run_in(
        &self,
        cell: Option<&Cell<'_>>,
        order: &Order,
        journal: &mut Journal,
        clock: &Clock,
    ) -> io::Result<StepEnd> {
        let (mut child, mut socket) = match cell {
            Some(cell) => cell.helper().await?,
            None => Spare::take(self).await?.outer,
        };
        let mut log = child.stderr.take().ok_or_else(|| io::Error::other("the helper has no log"))?;
        let errand = Errand { order: order.clone(), bounds: cell.map(Cell::bounds).unwrap_or_default() };
        let kills = cell.map_or(0, Cell::kills);
        let work = async {
            self.greet(&mut child, &mut socket, &errand, cell).await.map_err(FollowError::Io)?;
            let follow = journal.follow(&mut log, clock.silence);
            let answer = read_answer(&mut socket);
            // Side by side, since a long answer waits for its reader while the log waits for the helper's end. A silent helper
            // that does not end does not answer either.
            tokio::try_join!(follow, answer).map(|((), answer)| answer)
        };
        let ended = tokio::select! {
            biased;
            stop = clock.strikes() => Err(FollowError::Stop(stop)),
            ended = work => ended,
            stop = breached(cell, kills) => Err(FollowError::Stop(stop)),
        };
        drop(socket);
        let status = reap(&mut child).await?;
        match ended {
            Err(FollowError::Stop(stop)) => Ok(StepEnd::Stopped(stop)),
            Err(FollowError::Io(error)) => Err(error),
            Ok(None) => Err(io::Error::other(format!("the helper died ({status}); the log says why"))),
            Ok(Some(reply)) => {
                if runs_script(order) {
                    journal.used(reply.usage);
                }
                Ok(StepEnd::Answer(reply.answer))
            }
        }
    }

    /// Starts a helper, in namespaces of its own or in the user and mount namespaces of another.
    pub async fn start(&self, inside: Option<u32>) -> io::Result<(Child, UnixStream)> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        // Started through its open file: so it may lie in a folder that the namespace's ids cannot enter.
        let executable = fs_err::tokio::File::open(&self.executable).await?.into_parts().0.into_std().await;
        let mut command = match inside {
            Some(process) => {
                let mut command = Command::new("nsenter");
                command.args(["--user", "--mount", "--wd", "--target", &process.to_string(), "--", "unshare"]);
                command
            }
            None => {
                let mut command = Command::new("unshare");
                command.arg("--user").args(&self.ids.options);
                command
            }
        };
        let child = command
            // What is mounted in the namespaces of another later on is seen here, too, and nothing of the host's or of ours elsewhere.
            .args([
                "--mount",
                &format!("--propagation={}", if inside.is_some() { "slave" } else { "private" }),
                "--pid",
                "--fork",
                "--mount-proc",
                "--ipc",
                "--uts",
            ])
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

    /// Waits for a helper to be there, locks it in, and tells it what to do.
    pub async fn greet(
        &self,
        child: &mut Child,
        socket: &mut UnixStream,
        errand: &Errand,
        cell: Option<&Cell<'_>>,
    ) -> io::Result<()> {
        // A helper that dies early says why in the log, so that nothing comes from it is not the news.
        if socket.read_exact(&mut [0; 1]).await.is_err() {
            return Ok(());
        }
        let doors = match cell.map(Cell::entrance).transpose()?.flatten() {
            None => Vec::new(),
            Some(Entrance::Doors(doors)) => doors,
            Some(Entrance::ByNumber(group)) => {
                group.add(child_of(child.id())?)?;
                Vec::new()
            }
        };
        let _ = socket.async_io(Interest::WRITABLE, || send_doors(&*socket, &doors)).await;
        let mut line = serde_json::to_vec(errand)?;
        line.push(b'\n');
        let _ = socket.write_all(&line).await;
        Ok(())
    }
}

/// Whether a script of the package's own is part of a step.
fn runs_script(order: &Order) -> bool {
    match order {
        Order::Run { .. } => true,
        Order::All(orders) => orders.iter().any(runs_script),
        _ => false,
    }
}

/// The only child of unshare, which is the helper, as a number of this process's namespace.
pub fn child_of(parent: Option<u32>) -> io::Result<u32> {
    let parent = parent.ok_or_else(|| io::Error::other("the helper is gone"))?;
    let children = fs_err::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    children
        .split_whitespace()
        .next()
        .and_then(|child| child.parse().ok())
        .ok_or_else(|| io::Error::other("the helper is gone"))
}

/// Waits for the cell to be full, or for ever.
async fn breached(cell: Option<&Cell<'_>>, kills: u64) -> Stop {
    match cell {
        Some(cell) => cell.breached(kills).await,
        None => std::future::pending().await,
    }
}

/// Reads the answer; `None` if the helper died without one.
async fn read_answer(socket: &mut (impl AsyncRead + Unpin)) -> Result<Option<Reply>, FollowError> {
    let mut line = Vec::new();
    let read = BufReader::new(socket.take(ANSWER_BYTES)).read_until(b'\n', &mut line).await;
    match read.map_err(FollowError::Io)? {
        0 => Ok(None),
        // It is as long as the lists in it, of packages and files, which are a build's to make long.
        _ if line.len() as u64 == ANSWER_BYTES => Err(FollowError::Stop(Stop::AnswerTooLong)),
        _ => serde_json::from_slice(&line).map(Some).map_err(|error| FollowError::Io(error.into())),
    }
}

/// Waits for the end of a helper whose socket is closed, and so for the end of all that it started.
pub async fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            // The helper dies with unshare, its parent.
            child.kill().await?;
            child.wait().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_no_fault_of_the_helpers() {
        let answer = |length: usize| {
            let answer = Answer::Inventory("x".repeat(length));
            let mut line = serde_json::to_vec(&Reply { answer, usage: Default::default() }).unwrap();
            line.push(b'\n');
            line
        };
        let all = usize::try_from(ANSWER_BYTES).unwrap();
        let read = read_answer(&mut answer(all).as_slice()).await;
        assert!(matches!(read, Err(FollowError::Stop(Stop::AnswerTooLong))), "{read:?}");
        let read = read_answer(&mut answer(all - 1000).as_slice()).await.unwrap();
        assert!(matches!(read, Some(Reply { answer: Answer::Inventory(_), .. })));
        assert!(matches!(read_answer(&mut [].as_slice()).await, Ok(None)));
        assert!(matches!(read_answer(&mut b"{\n".as_slice()).await, Err(FollowError::Io(_))));
    }
}
