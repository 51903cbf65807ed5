//! Leaving the terminal: `--daemon`.
//!
//! All that a person has to know is said while the terminal is still there. The command that started the daemon waits at a
//! pipe until the daemon is ready, or says why it is not.

use std::{
    env,
    fs::{self, File},
    io::{self, PipeReader, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use anyhow::{Context as _, bail, ensure};
use daemonize::{Daemonize, Outcome};
use rustix::fs::{FlockOperation, Mode, flock};
use tracing::error;

use crate::{DaemonArgs, notify, reload, secret::absolute, threads};

/// What goes through the pipe when the daemon is ready; anything else is the reason why it is not.
pub(crate) const READY: &str = "ready";

/// What systemd sets for the processes that it watches itself.
const SYSTEMD: [&str; 2] = ["NOTIFY_SOCKET", "INVOCATION_ID"];

/// The log may name people and packages.
const LOG_MODE: u32 = 0o640;
const PID_MODE: u32 = 0o644;
/// Whatever the caller's mask: nobody else writes what a daemon makes.
const UMASK: Mode = Mode::from_bits_retain(0o022);

/// A daemon that is about to leave its terminal.
pub(crate) struct Background {
    pid_file: PathBuf,
    log_file: PathBuf,
    log: File,
    folder: PathBuf,
}

/// On which side of the fork we are.
pub(crate) enum Side {
    /// The command that was typed. The daemon is ready, or has failed, and all is said: this is its exit code.
    Starter(ExitCode),
    /// The daemon, away from the terminal.
    Daemon(PidFile),
}

impl Background {
    /// What the command line asks for, with its files opened.
    ///
    /// # Errors
    ///
    /// systemd runs this process, or a file cannot be written.
    pub(crate) fn new(args: &DaemonArgs) -> anyhow::Result<Option<Self>> {
        let (true, Some(pid_file), Some(log_file)) = (args.background, &args.pid_file, &args.log_file) else {
            return Ok(None);
        };
        if let Some(name) = SYSTEMD.into_iter().find(|name| env::var_os(name).is_some()) {
            bail!(
                "--daemon is not for systemd, which runs this process ({name} is set) and watches its daemons itself: \
                 leave --daemon out (Type=notify in the unit), or unset {name} if this is no unit"
            );
        }
        let (pid_file, log_file) = (absolute(pid_file), absolute(log_file));
        let log = open_log(&log_file).with_context(|| format!("cannot write the log file {}", log_file.display()))?;
        // Only to say so here if it cannot be: it is locked and written after the fork.
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PID_MODE)
            .open(&pid_file)
            .with_context(|| format!("cannot write the pid file {}", pid_file.display()))?;
        let folder = env::current_dir().context("the folder that this command was started in is gone")?;
        Ok(Some(Self { pid_file, log_file, log, folder }))
    }

    /// Forks. The daemon stays in its folder, so that relative paths of its configuration mean what they meant before.
    ///
    /// # Errors
    ///
    /// In the process on the terminal only: there was no fork.
    pub(crate) fn leave(self, name: &str) -> anyhow::Result<Side> {
        // A thread does not come along, and what it holds locked stays locked for ever.
        ensure!(threads::is_single(), "a fault in this program: a thread was started before the terminal was left");
        let (reader, mut writer) = io::pipe().context("cannot make a pipe to the daemon")?;
        let stdout = self.log.try_clone().context("cannot share the log file")?;
        let outcome = Daemonize::new()
            .working_directory(&self.folder)
            .umask(umask())
            .pid_file(&self.pid_file)
            .stdout(stdout)
            .stderr(self.log)
            .execute();
        match outcome {
            Outcome::Parent(Ok(_)) => {
                drop(writer);
                Ok(Side::Starter(wait(name, reader, &self.log_file)))
            }
            Outcome::Parent(Err(error)) => bail!("cannot leave the terminal: {error}"),
            Outcome::Child(result) => {
                drop(reader);
                let pid_file = PidFile { path: self.pid_file };
                match result.map_err(|error| pid_file.why_not(name, &error)).and_then(|_| pid_file.check()) {
                    Ok(()) => {
                        notify::expect_starter(writer);
                        let log_file = self.log_file;
                        reload::on_reload(move || reopen(&log_file));
                        Ok(Side::Daemon(pid_file))
                    }
                    Err(why) => {
                        let _ = writer.write_all(why.as_bytes());
                        Ok(Side::Starter(ExitCode::FAILURE))
                    }
                }
            }
        }
    }
}

/// Waits until the daemon is ready or has ended, and says on the terminal if it failed.
fn wait(name: &str, mut daemon: PipeReader, log_file: &Path) -> ExitCode {
    let mut words = String::new();
    let log_file = log_file.display();
    match daemon.read_to_string(&mut words) {
        Ok(_) if words == READY => return ExitCode::SUCCESS,
        Ok(0) => eprintln!("{name}: the daemon ended before it was ready; its log is {log_file}"),
        Ok(_) => eprintln!("{name}: {words}"),
        Err(error) => eprintln!("{name}: cannot hear from the daemon ({error}); its log is {log_file}"),
    }
    ExitCode::FAILURE
}

/// The caller's mask, with the writing of others taken away. daemonize would set another, and then files that the daemon
/// makes would differ between terminal and background.
fn umask() -> u32 {
    let mask = rustix::process::umask(UMASK) | UMASK;
    rustix::process::umask(mask);
    mask.bits()
}

fn open_log(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).mode(LOG_MODE).open(path)
}

/// Writes to the file of this name from now on, as the one written to so far may have been renamed.
fn reopen(path: &Path) {
    let reopened = open_log(path).and_then(|file| {
        rustix::stdio::dup2_stdout(&file)?;
        rustix::stdio::dup2_stderr(&file)?;
        Ok(())
    });
    if let Err(error) = reopened {
        error!(%error, "cannot open the log file {} anew: it goes on where it was", path.display());
    }
}

/// The file that holds the number of this process and is locked as long as that lives. Removed when it is dropped.
pub(crate) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Why the fork gave no daemon: nearly always because another one runs.
    fn why_not(&self, name: &str, error: &daemonize::Error) -> String {
        let path = self.path.display();
        let held = File::open(&self.path).is_ok_and(|file| {
            flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
        });
        if !held {
            return format!("cannot leave the terminal with the pid file {path}: {error}");
        }
        let holder = match self.content().trim() {
            "" => "another process".to_owned(),
            pid => format!("process {pid}"),
        };
        format!(
            "the pid file {path} is locked by {holder}, so {name} runs already: end that, or name another --pid-file"
        )
    }

    /// Whether the file that was locked is still the one of this name: a daemon that ends removes its file, and that may
    /// have been between our opening and our locking.
    fn check(&self) -> Result<(), String> {
        if self.is_ours() {
            return Ok(());
        }
        Err(format!(
            "the pid file {} was taken away in this moment, by another daemon that ended: start again",
            self.path.display()
        ))
    }

    fn is_ours(&self) -> bool {
        self.content().trim() == process::id().to_string()
    }

    fn content(&self) -> String {
        fs::read_to_string(&self.path).unwrap_or_default()
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_ours()
            && let Err(error) = fs::remove_file(&self.path)
        {
            error!(%error, "cannot remove the pid file {}", self.path.display());
        }
    }
}
