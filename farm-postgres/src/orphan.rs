//! A server that a killed process left behind, and the file that says it is there although it is not.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use tracing::{info, warn};

use crate::{PostgresError, error::system};

/// How long a server may take to write out its memory and end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends a server that still runs on this data, and removes a stale `postmaster.pid`.
///
/// The caller holds the folder's lock, so a server that is alive has lost its owner: its keeper is stopping it just now, or
/// was killed too. A stale file matters because process numbers are used again, soon in a container: PostgreSQL would
/// take any process of that number and user for its own predecessor and refuse to start.
pub(crate) fn clear(data: &Path) -> Result<(), PostgresError> {
    let pid_file = data.join("postmaster.pid");
    let Ok(text) = fs_err::read_to_string(&pid_file) else { return Ok(()) };
    match text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw) {
        Some(pid) if works_in(pid, data) => end(pid, data),
        _ => {
            info!("{} is stale: no server runs there", pid_file.display());
            fs_err::remove_file(&pid_file).map_err(system("cannot remove the stale postmaster.pid"))
        }
    }
}

/// A server's working directory is its data.
fn works_in(pid: Pid, data: &Path) -> bool {
    let cwd = fs_err::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero()));
    matches!((cwd, fs_err::canonicalize(data)), (Ok(cwd), Ok(data)) if cwd == data)
}

fn end(pid: Pid, data: &Path) -> Result<(), PostgresError> {
    warn!(
        pid = pid.as_raw_nonzero().get(),
        "a server left behind by a killed process still runs on {}: stopping it",
        data.display()
    );
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    // Already gone, or on its way: both are fine.
    let _ = pidfd_send_signal(&process, Signal::INT);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout =
            Timespec { tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Err(PostgresError::NotStopped { dir: data.to_owned(), seconds: PATIENCE.as_secs() }),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(system("cannot wait for the old server")(io::Error::from(error))),
        }
    }
}
