//! A daemon that is started again whenever it ends, as systemd does.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use farm_daemon::CancellationToken;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

/// How long a daemon may take to become ready, on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(90);
/// How long it may take to end.
const END: Duration = Duration::from_secs(60);
/// How long systemd waits until it starts one again. (It is configured to five times that; a test has less time.)
const PAUSE: Duration = Duration::from_secs(1);

/// How a daemon is started.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Its name: `hub-1`.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// What is put before the command: `nsenter …`.
    pub within: Vec<String>,
    /// More environment.
    pub env: Vec<(String, String)>,
    /// Where it logs to.
    pub log: PathBuf,
}

/// A daemon that is kept running.
#[derive(Debug)]
pub struct Unit {
    name: String,
    state: Arc<State>,
    end: CancellationToken,
    task: Mutex<Option<JoinHandle<anyhow::Result<()>>>>,
}

#[derive(Debug)]
struct State {
    /// The process that runs now.
    pid: Mutex<Option<Pid>>,
    /// How many of its ends, which are not noted yet, are our doing.
    killed: AtomicU32,
    ready: watch::Sender<bool>,
    /// How it ended without being told to or killed.
    ends: Mutex<Vec<ExitStatus>>,
}

impl Unit {
    /// Starts it.
    pub fn start(recipe: Recipe) -> Self {
        let (end, name) = (CancellationToken::new(), recipe.name.clone());
        let state = Arc::new(State {
            pid: Mutex::default(),
            killed: AtomicU32::default(),
            ready: watch::Sender::new(false),
            ends: Mutex::default(),
        });
        let task = tokio::spawn(keep(recipe, Arc::clone(&state), end.clone()));
        Self { name, state, end, task: Mutex::new(Some(task)) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until it is ready.
    pub async fn until_ready(&self) -> anyhow::Result<()> {
        let mut ready = self.state.ready.subscribe();
        let waited = tokio::time::timeout(START, ready.wait_for(|ready| *ready)).await;
        waited.with_context(|| format!("{} is not ready within {START:?}", self.name))?.map(drop)?;
        Ok(())
    }

    /// Kills it, and nothing that it started.
    pub fn kill(&self) {
        if self.signal(Signal::KILL) {
            self.state.killed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Stops it where it stands.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether there was a process to hear it.
    fn signal(&self, signal: Signal) -> bool {
        let pid = lock(&self.state.pid);
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// How it ended without being told to.
    pub fn own_ends(&self) -> Vec<ExitStatus> {
        lock(&self.state.ends).clone()
    }

    /// Tells it to end and waits for that.
    pub async fn end(&self) -> anyhow::Result<()> {
        self.end.cancel();
        let task = lock(&self.task).take();
        match task {
            Some(task) => task.await.context("the keeper of a daemon failed")?,
            None => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn keep(recipe: Recipe, state: Arc<State>, end: CancellationToken) -> anyhow::Result<()> {
    loop {
        let mut child = spawn(&recipe)?;
        // Its end is what tells it that we are gone.
        let _leash = child.stdin.take();
        *lock(&state.pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let heard = tokio::spawn(hear(child.stdout.take(), Arc::clone(&state)));
        let ended = tokio::select! {
            ended = wait(&mut child, &state) => ended,
            () = end.cancelled() => return finish(&recipe, &mut child, &state).await,
        };
        heard.abort();
        state.ready.send_replace(false);
        let status = ended.with_context(|| format!("cannot wait for {}", recipe.name))?;
        let was_killed = state.killed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
        if !was_killed {
            lock(&state.ends).push(status);
        }
        if end.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return Ok(());
        }
    }
}

/// Waits for a process to end, and takes its number back before it can be another's.
async fn wait(child: &mut Child, state: &State) -> std::io::Result<ExitStatus> {
    let status = child.wait().await;
    lock(&state.pid).take();
    status
}

fn spawn(recipe: &Recipe) -> anyhow::Result<Child> {
    let log = fs_err::OpenOptions::new().create(true).append(true).open(&recipe.log)?;
    let mut words = recipe.within.iter().map(Path::new).chain([recipe.program.as_path()]);
    let first = words.next().unwrap_or(&recipe.program);
    let mut command = Command::new(first);
    command
        .args(words)
        .arg("--with-parent")
        .arg("--config")
        .arg(&recipe.config)
        .env("RUST_BACKTRACE", "0")
        .envs(recipe.env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.into_parts().0)
        .process_group(0)
        .kill_on_drop(true);
    command.spawn().with_context(|| format!("cannot start {}", recipe.name))
}

async fn hear(output: Option<tokio::process::ChildStdout>, state: Arc<State>) {
    let Some(output) = output else { return };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains(r#""ready":true"#) {
            state.ready.send_replace(true);
        }
    }
}

async fn finish(recipe: &Recipe, child: &mut Child, state: &State) -> anyhow::Result<()> {
    if let Some(pid) = *lock(&state.pid) {
        let _ = kill_process(pid, Signal::CONT);
        let _ = kill_process(pid, Signal::TERM);
    }
    let name = &recipe.name;
    match tokio::time::timeout(END, wait(child, state)).await {
        Ok(status) if status.as_ref().is_ok_and(ExitStatus::success) => Ok(()),
        Ok(status) => bail!("{name}, told to end, ended as {status:?}"),
        Err(_) => {
            let _ = child.kill().await;
            bail!("{name} does not end within {END:?} of being told to")
        }
    }
}
