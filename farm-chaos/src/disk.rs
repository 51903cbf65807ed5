//! The disk of the store: a file system of its own in memory, which can be full, read-only or slow. Takes root, in a mount namespace.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    sys::fanotify::{EventFFlags, Fanotify, FanotifyResponse, InitFlags, MarkFlags, MaskFlags, Response},
};
use tokio::{task::spawn_blocking, time::sleep};

/// How large it is, in KiB, when it is not full.
const SIZE: u64 = 1 << 20;
/// How long each opening of a file takes when it is slow.
const HESITATION: Duration = Duration::from_millis(40);
/// How long to wait for a moment in which nobody writes: with files open for writing nothing becomes read-only.
const PATIENCE: Duration = Duration::from_secs(5);

/// The file system. It goes when this is dropped.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts it on a folder.
    pub fn mount(folder: &Path) -> anyhow::Result<Self> {
        let disk = Self { folder: folder.to_owned() };
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={SIZE}k"), "tmpfs"]).arg(folder))?;
        Ok(disk)
    }

    /// For so long there is not a byte left.
    pub async fn be_full(&self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        // It cannot become smaller than what is on it, and others are writing.
        while let Err(error) = self.leave_no_room() {
            if Instant::now() > end {
                return Err(error);
            }
        }
        sleep(time).await;
        self.remount(&format!("size={SIZE}k"))
    }

    /// For so long nothing can be written. Answers whether a moment was found to begin.
    pub async fn be_read_only(&self, time: Duration) -> anyhow::Result<bool> {
        let end = Instant::now() + PATIENCE;
        while self.remount("ro").is_err() {
            if Instant::now() > end {
                return Ok(false);
            }
            sleep(Duration::from_millis(20)).await;
        }
        sleep(time).await;
        self.remount("rw")?;
        Ok(true)
    }

    /// For so long each opening of a file takes its time.
    pub async fn be_slow(&self, time: Duration) -> anyhow::Result<()> {
        let folder = self.folder.clone();
        spawn_blocking(move || hesitate(&folder, Instant::now() + time)).await?
    }

    fn leave_no_room(&self) -> anyhow::Result<()> {
        let used = rustix::fs::statvfs(&self.folder)?;
        let kilobytes = (used.f_blocks - used.f_bfree) * used.f_frsize / 1024;
        self.remount(&format!("size={}k", kilobytes.max(1)))
    }

    fn remount(&self, options: &str) -> anyhow::Result<()> {
        run(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.folder));
    }
}

/// Lets files be opened only after a while, one after the other. When this ends, so does the wait of whoever waits still.
fn hesitate(folder: &Path, end: Instant) -> anyhow::Result<()> {
    let asked = Fanotify::init(
        InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK,
        EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC,
    )
    .context("the kernel does not let us hold up who opens a file")?;
    let whole_mount = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_MOUNT;
    asked.mark(whole_mount, MaskFlags::FAN_OPEN_PERM, nix::fcntl::AT_FDCWD, Some(folder))?;
    while Instant::now() < end {
        let events = match asked.read_events() {
            Ok(events) => events,
            Err(Errno::EAGAIN) => {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for event in &events {
            std::thread::sleep(HESITATION);
            if let Some(file) = event.fd() {
                asked.write_response(FanotifyResponse::new(file, Response::FAN_ALLOW))?;
            }
        }
    }
    Ok(())
}

/// Runs a command that has to succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
