//! Starts mock and ends it.

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::process::{Child, ChildStdin, Command};

use super::host::{Host, PATH};

/// What runs mock; see there.
const INIT: &str = include_str!("init.sh");

/// A process namespace with its own `/proc`, gone with `unshare`.
pub const NAMESPACE: [&str; 4] = ["--pid", "--fork", "--kill-child", "--mount-proc"];

/// How long `init.sh` may take to end; it gives mock less.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long mock may take to tidy up.
const TIDYING: Duration = Duration::from_secs(300);

/// mock at work.
#[derive(Debug)]
pub struct Running {
    child: Child,
    leash: Option<ChildStdin>,
}

impl Host {
    /// Starts mock. What it prints itself goes to the file `console`; its logs are elsewhere.
    pub fn start(&self, arguments: &[OsString], console: &Path) -> io::Result<Running> {
        let file = fs_err::OpenOptions::new().create(true).append(true).open(console)?.into_file();
        let mut command = if self.isolation.own_processes {
            let mut command = Command::new("unshare");
            command.args(NAMESPACE).args(["--", "bash"]);
            command
        } else {
            Command::new("bash")
        };
        command.args(["--norc", "--noprofile", "-c", INIT, "mock"]).arg(&self.program).args(arguments);
        let mut child = self
            .environment(&mut command)
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            // A Ctrl-C for the daemon is the daemon's business.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let leash = child.stdin.take();
        Ok(Running { child, leash })
    }

    /// Lets mock do something that should be short, to its end. False: it failed, or took too long.
    pub async fn tidy(&self, arguments: &[OsString], console: &Path) -> io::Result<bool> {
        let mut running = self.start(arguments, console)?;
        match tokio::time::timeout(TIDYING, running.ended()).await {
            Ok(code) => Ok(code? == 0),
            Err(_) => running.stop().await.map(|()| false),
        }
    }
}

impl Running {
    /// Waits for its end and answers the exit code; a signal counts as in a shell.
    pub async fn ended(&mut self) -> io::Result<i32> {
        Ok(code(self.child.wait().await?))
    }

    /// Ends it: as it ends by itself, if it does so at once. Where it has a process namespace, nothing that it started is left.
    pub async fn stop(&mut self) -> io::Result<()> {
        drop(self.leash.take());
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
