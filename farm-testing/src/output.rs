//! What a process writes, kept line by line, for whoever waits for a line.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The lines of a process's standard output and standard error, in the order of their coming.
#[derive(Debug, Clone, Default)]
pub(crate) struct Output(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// How many streams are still open.
    open: usize,
}

impl Output {
    /// Collects the lines of one more stream.
    pub(crate) fn collect(&self, stream: impl Read + Send + 'static) {
        self.lock().open += 1;
        let output = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                output.lock().lines.push(String::from_utf8_lossy(&line).into_owned());
                output.0.1.notify_all();
            }
            output.lock().open -= 1;
            output.0.1.notify_all();
        });
    }

    /// Waits for a line. None: the process has nothing more to say, or the deadline has passed.
    pub(crate) fn wait_for(&self, deadline: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + deadline;
        let mut seen = 0;
        let mut state = self.lock();
        loop {
            if let Some(line) = state.lines[seen..].iter().find(|line| wanted(line)) {
                return Some(line.clone());
            }
            seen = state.lines.len();
            let left = end.saturating_duration_since(Instant::now());
            if state.open == 0 || left.is_zero() {
                return None;
            }
            state = self.0.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
