//! The server's log: kept in a file, and read for the signs that the server is ready or has ended.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    process::ChildStderr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crate::{PostgresError, error::system};

/// How many lines an error shows.
const TAIL: usize = 30;

/// What the server says when it accepts connections, as a replica the second. Its language is set to this one.
const READY: [&str; 2] =
    ["database system is ready to accept connections", "database system is ready to accept read-only connections"];

/// Tells when the server has ended, for whatever reason.
#[derive(Debug, Clone, Default)]
pub struct Ended(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    ready: bool,
    ended: bool,
    tail: VecDeque<String>,
}

/// How a start went.
pub(crate) enum Start {
    Ready,
    Ended,
    Slow,
}

impl Ended {
    /// Copies the log to a file, in a thread of its own, until it ends with the last of the server's processes.
    pub(crate) fn follow(log: ChildStderr, mut file: File) -> Result<Self, PostgresError> {
        let follower = Self::default();
        let handle = follower.clone();
        let copy = move || {
            for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
                // A full disk must not stop the server, which waits for us to read.
                let _ = file.write_all(&[&line, b"\n".as_slice()].concat());
                follower.note(String::from_utf8_lossy(&line).into_owned());
            }
            follower.state().ended = true;
            follower.0.1.notify_all();
        };
        let thread = thread::Builder::new().name("postgres-log".to_owned()).spawn(copy);
        thread.map_err(system("cannot start the thread for PostgreSQL's log"))?;
        Ok(handle)
    }

    /// Waits, without an end, until the server has ended. Whether somebody stopped it or it was killed: it is gone.
    pub fn wait(&self) {
        let _gone = self.0.1.wait_while(self.state(), |state| !state.ended);
    }

    pub(crate) fn wait_for_start(&self, patience: Duration) -> Start {
        let waited = self.0.1.wait_timeout_while(self.state(), patience, |state| !state.ready && !state.ended);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match *state {
            State { ready: true, .. } => Start::Ready,
            State { ended: true, .. } => Start::Ended,
            _ => Start::Slow,
        }
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> String {
        self.state().tail.make_contiguous().join("\n")
    }

    fn note(&self, line: String) {
        let mut state = self.state();
        if READY.iter().any(|ready| line.contains(ready)) {
            state.ready = true;
            self.0.1.notify_all();
        }
        if state.tail.len() == TAIL {
            state.tail.pop_front();
        }
        state.tail.push_back(line);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
