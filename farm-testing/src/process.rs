//! A program of the workspace, running.

use std::{
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open},
};
use tempfile::TempDir;

use crate::{DEADLINE, output::Output, program};

/// How many lines of its log a failed test shows.
const LOG_TAIL: usize = 60;

/// A running process with everything it writes. Dropping it kills it and all that it started; if the test has failed, the
/// end of its log is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Output,
    listen: Option<String>,
    _config: Option<TempDir>,
}

impl Process {
    /// Starts a daemon of the workspace with this configuration, and waits until it is ready.
    pub fn daemon(name: &str, config: &str) -> Self {
        Self::daemon_with(name, config, |_| {})
    }

    /// The same, with more options or environment.
    pub fn daemon_with(name: &str, config: &str, more: impl FnOnce(&mut Command)) -> Self {
        let mut process = Self::starting_daemon(name, config, more);
        process.wait_until_ready();
        process
    }

    /// Starts a daemon and does not wait: it may be long until it is ready, or never.
    pub fn starting_daemon(name: &str, config: &str, more: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(format!("{name}.toml"));
        fs_err::write(&file, config).unwrap();
        let mut command = Command::new(program(name, name));
        command.arg("--with-parent").arg("--config").arg(file);
        more(&mut command);
        let mut process = Self::start(name, command);
        process._config = Some(dir);
        process
    }

    /// Starts a program. Its standard input stays open as long as the test lives.
    pub fn start(name: &str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, to kill it with all that it starts.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let output = Output::default();
        output.collect(child.stdout.take().unwrap());
        output.collect(child.stderr.take().unwrap());
        Self { name: name.to_owned(), child, output, listen: None, _config: None }
    }

    /// Where it listens, as in `127.0.0.1:40123`.
    pub fn address(&self) -> &str {
        self.listen.as_deref().unwrap_or_else(|| panic!("{} does not say where it listens", self.name))
    }

    /// The URL of a path on it, as in `http://127.0.0.1:40123/healthz`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        self.output.lines().join("\n")
    }

    /// Waits until it writes a line with this text, or has written one, and gives the line.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.output
            .wait_for(DEADLINE, |line| line.contains(text))
            .unwrap_or_else(|| panic!("{} did not write “{text}” within {DEADLINE:?}", self.name))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.rustix_pid(), signal).unwrap();
    }

    /// Stops it where it stands (SIGSTOP), as a machine that hangs would.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it without a warning (SIGKILL), and only it: what it started is on its own, as after a crash.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(DEADLINE)
    }

    /// Waits until it has ended.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        if let Some(status) = self.child.try_wait().unwrap() {
            return status;
        }
        let process = pidfd_open(self.rustix_pid(), PidfdFlags::empty()).unwrap();
        let timeout =
            Timespec { tv_sec: deadline.as_secs().try_into().unwrap(), tv_nsec: deadline.subsec_nanos().into() };
        let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)).unwrap();
        assert_eq!(ended, 1, "{} did not end within {deadline:?}", self.name);
        self.child.wait().unwrap()
    }

    /// Waits for the line that says that it is ready, and where it listens.
    pub fn wait_until_ready(&mut self) {
        let line = self.output.wait_for(DEADLINE, |line| line.starts_with(r#"{""#) && line.contains(r#""ready":true"#));
        let Some(line) = line else { panic!("{} did not become ready within {DEADLINE:?}", self.name) };
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        self.listen = line["listen"].as_str().map(str::to_owned);
    }

    fn rustix_pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group, because children that outlive it are in it.
        let _ = kill_process_group(self.rustix_pid(), Signal::KILL);
        let _ = self.child.wait();
        if thread::panicking() {
            let lines = self.output.lines();
            let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
            eprintln!("--- the end of what {} wrote:\n{}\n---", self.name, tail.join("\n"));
        }
    }
}
