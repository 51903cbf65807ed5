//! What a build is locked into: its control group, the namespaces that its steps enter, and the place for what it writes. Made
//! before its first step and gone after its last.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::Child,
    time::{Instant, sleep},
};

use super::{
    files::beside,
    helper::{Helpers, StepEnd, child_of, reap},
    watch::{Clock, Journal, Stop},
};
use crate::{
    cgroup::{self, Cgroup, Cgroups, GroupLimits},
    driver::BuildLimits,
    isolation::{self, Isolation, Usage},
    sandbox::{Answer, Bounds, Errand, Order, Scratch, Use},
};

/// The folder for what is written, in the build's own.
pub const SCRATCH: &str = "scratch";

/// How often to look whether the kernel has killed something.
const LOOK: Duration = Duration::from_millis(250);

/// How often to look how much is written. To count files takes time: never more than a tenth of it.
const COUNT: Duration = Duration::from_millis(500);

/// With less than this on the builder's own disk nothing goes on: other builds, and the daemon, need some.
const HOST_NEEDS: u64 = 512 << 20;

/// What a full file system still has free, at most: less than one more file would take.
const CRUMBS: u64 = 256 << 10;

/// Where what builds write is to lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScratchPlace {
    /// In memory where a control group counts it and the limit for the disk is at most half of that for the memory; else on the disk.
    #[default]
    Auto,
    /// In memory: bounded by the kernel, and part of what the build's memory is.
    Memory,
    /// On the disk of the data folder: the builder looks how much it is.
    Disk,
}

/// How this host locks builds in.
#[derive(Debug)]
pub struct Locks {
    /// The groups that can be made, or why none.
    pub groups: Result<Cgroups, String>,
    /// Where what builds write is to lie.
    pub place: ScratchPlace,
    /// Whether it can lie in memory, or why not.
    pub memory: Result<(), String>,
}

impl Locks {
    /// Finds out what this host can do.
    pub async fn find(helpers: &Helpers) -> Self {
        let groups = Cgroups::find();
        if let Err(why) = &groups {
            tracing::warn!("limits for memory and processes hold for each process by itself only: {why}");
        }
        let order = Order::Hold {
            // Mounted over in the helper's namespace only.
            folder: PathBuf::from("work"),
            scratch: Scratch::Memory { bytes: 1 << 20, files: 100 },
        };
        let memory = match hold(helpers, order).await {
            Ok((mut holder, line, _)) => {
                drop(line);
                reap(&mut holder).await.map(|_| ()).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = &memory {
            tracing::warn!("what builds write is on the disk, where its size can only be looked at: {why}");
        }
        Self { groups, place: ScratchPlace::default(), memory }
    }

    fn scratch(&self, limits: &BuildLimits) -> Scratch {
        let in_memory = match self.place {
            _ if self.memory.is_err() => false,
            ScratchPlace::Memory => true,
            ScratchPlace::Disk => false,
            ScratchPlace::Auto => self.groups.is_ok() && limits.disk_bytes <= limits.memory_bytes / 2,
        };
        if in_memory { Scratch::Memory { bytes: limits.disk_bytes, files: limits.files } } else { Scratch::Disk }
    }
}

/// What a build is locked into.
#[derive(Debug)]
pub struct Cell<'a> {
    helpers: &'a Helpers,
    limits: &'a BuildLimits,
    group: Option<Cgroup>,
    record: PathBuf,
    holder: Child,
    /// The process whose namespaces steps enter.
    inner: u32,
    line: tokio::sync::Mutex<BufReader<UnixStream>>,
    /// The most that was seen.
    most: Mutex<Use>,
    /// What guards what.
    pub isolation: Isolation,
}

impl<'a> Cell<'a> {
    /// Makes the cell of a build with this folder, which is relative to the data folder.
    pub async fn open(
        helpers: &'a Helpers,
        locks: &Locks,
        folder: &Path,
        limits: &'a BuildLimits,
        network: bool,
    ) -> io::Result<Self> {
        let scratch = locks.scratch(limits);
        let record = beside(&helpers.data.join(folder), "cgroup");
        let group = locks.groups.as_ref().ok().map(|groups| make_group(groups, &record, folder, limits)).transpose()?;
        let order = Order::Hold { folder: folder.join(SCRATCH), scratch };
        let (holder, line, inner) = hold(helpers, order).await?;
        let groups = locks.groups.as_ref().map(Cgroups::kind).map_err(String::as_str);
        let mut isolation = Isolation::native(groups, scratch, network);
        isolation.lacks.extend(locks.memory.as_ref().err().cloned());
        let (line, most) = (tokio::sync::Mutex::new(line), Mutex::new(Use::default()));
        Ok(Self { helpers, limits, group, record, holder, inner, line, most, isolation })
    }

    /// Runs a step in it.
    pub async fn run(&self, order: &Order, journal: &mut Journal, clock: &Clock) -> io::Result<StepEnd> {
        let (kills, refusals) = (self.kills(), self.refusals());
        let end = self.helpers.run_in(Some(self), order, journal, clock).await;
        let refused = self.refusals().saturating_sub(refusals);
        if refused > 0 {
            let most = self.limits.processes;
            journal.say(&format!("{refused} times no process could be started: the limit is {most} at once")).await;
        }
        if is_settled(&end) {
            return end;
        }
        if self.kills() > kills {
            return Ok(StepEnd::Stopped(Stop::OutOfMemory));
        }
        match self.measure().await.ok().and_then(|used| self.full(&used)) {
            Some(stop) => Ok(StepEnd::Stopped(stop)),
            None => end,
        }
    }

    /// Waits until the build has used up what it may. Used beside a step.
    pub async fn breached(&self, kills: u64) -> Stop {
        let mut next = Instant::now() + COUNT;
        loop {
            sleep(LOOK).await;
            if self.kills() > kills {
                return Stop::OutOfMemory;
            }
            if Instant::now() < next {
                continue;
            }
            let began = Instant::now();
            match self.measure().await {
                Ok(used) => {
                    if let Some(stop) = self.full(&used).filter(|_| self.isolation.disk == isolation::Guard::Sampled) {
                        return stop;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "what a build has written cannot be counted");
                    return Stop::Uncountable;
                }
            }
            next = Instant::now() + COUNT.max(began.elapsed() * 9);
        }
    }

    /// How often the kernel has killed something for want of memory.
    pub fn kills(&self) -> u64 {
        self.group.as_ref().map_or(0, Cgroup::memory_kills)
    }

    fn refusals(&self) -> u64 {
        self.group.as_ref().map_or(0, Cgroup::refused_processes)
    }

    /// Puts a helper into the build's group.
    pub fn admit(&self, process: u32) -> io::Result<()> {
        self.group.as_ref().map_or(Ok(()), |group| group.add(process))
    }

    /// The process whose user and mount namespaces steps enter.
    pub fn inner(&self) -> u32 {
        self.inner
    }

    /// What processes of the build inherit.
    pub fn bounds(&self) -> Bounds {
        isolation::bounds(self.limits, self.group.is_some())
    }

    /// How much is written.
    async fn measure(&self) -> io::Result<Use> {
        let mut line = self.line.lock().await;
        line.write_all(b"\n").await?;
        match read_answer(&mut *line).await? {
            Answer::Use(used) => {
                let mut most = self.most.lock().unwrap_or_else(PoisonError::into_inner);
                most.bytes = most.bytes.max(used.bytes);
                most.files = most.files.max(used.files);
                Ok(used)
            }
            Answer::Broken(why) => Err(io::Error::other(why)),
            other => Err(io::Error::other(format!("unexpected answer {other:?}"))),
        }
    }

    /// Which limit is reached, if one is.
    fn full(&self, used: &Use) -> Option<Stop> {
        // A page of files in memory, and one name, may stay unused.
        let (bytes, files) = match self.isolation.disk {
            isolation::Guard::FileSystem => {
                (self.limits.disk_bytes.saturating_sub(CRUMBS), self.limits.files.saturating_sub(2))
            }
            _ => (self.limits.disk_bytes, self.limits.files),
        };
        if used.files >= files {
            return Some(Stop::TooManyFiles);
        }
        if used.bytes >= bytes {
            return Some(Stop::DiskFull);
        }
        let on_host = self.isolation.disk == isolation::Guard::Sampled;
        (on_host && used.free_bytes < HOST_NEEDS).then_some(Stop::HostDiskFull)
    }

    /// Ends everything in it and answers what the build used up.
    pub async fn close(mut self) -> Usage {
        let usage = self.group.as_ref().map_or_else(Usage::default, |group| Usage {
            peak_memory_bytes: group.peak_memory_bytes(),
            cpu_milliseconds: group.cpu_milliseconds(),
            written_bytes: group.written_bytes(),
        });
        drop(self.line);
        if let Err(error) = reap(&mut self.holder).await {
            tracing::warn!(%error, "the holder of a build's namespaces does not end");
        }
        if let Some(group) = self.group {
            match tokio::task::spawn_blocking(|| group.remove()).await {
                Ok(Err(error)) => tracing::warn!(%error, "a control group stays behind until the next start"),
                _ => {
                    let _ = fs_err::remove_file(&self.record);
                }
            }
        }
        usage
    }
}

/// Whether a step's end is its own, and no limit the reason for it. One that came to a good end in spite of a limit did so; one that
/// ended by the clock, or flooded its log with complaints, may have done it for want of room.
fn is_settled(end: &io::Result<StepEnd>) -> bool {
    match end {
        Ok(StepEnd::Stopped(stop)) => !matches!(stop, Stop::Timeout | Stop::Silent | Stop::LogTooLarge),
        Ok(StepEnd::Answer(answer)) => matches!(answer, Answer::Exit(0) | Answer::Done | Answer::Collected(_)),
        Err(_) => false,
    }
}

/// Removes the control group that an earlier life has left, as its record says, and the record.
pub fn remove_group(build: &Path) -> io::Result<()> {
    let record = beside(build, "cgroup");
    let Ok(text) = fs_err::read_to_string(&record) else { return Ok(()) };
    cgroup::remove(&text.lines().map(PathBuf::from).collect::<Vec<_>>())?;
    fs_err::remove_file(record)
}

/// Notes the folders of the group before they are made, so that whatever happens, they are found again.
fn make_group(groups: &Cgroups, record: &Path, folder: &Path, limits: &BuildLimits) -> io::Result<Cgroup> {
    let id = folder.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("farm-{id}");
    let folders: Vec<_> = groups.folders(&name).iter().map(|folder| folder.display().to_string()).collect();
    fs_err::write(record, folders.join("\n"))?;
    let (memory_bytes, processes, cpu_weight) = (limits.memory_bytes, limits.processes, limits.cpu_weight);
    groups.make(&name, &GroupLimits { memory_bytes, processes, cpu_weight })
}

/// Starts a helper that stays, and answers it with the process whose namespaces can be entered.
async fn hold(helpers: &Helpers, order: Order) -> io::Result<(Child, BufReader<UnixStream>, u32)> {
    let errand = Errand { order, bounds: Bounds::default() };
    let (mut holder, mut socket) = helpers.start(None).await?;
    let begun = async {
        helpers.greet(&mut holder, &mut socket, &errand, None).await?;
        let inner = child_of(holder.id())?;
        let mut line = BufReader::new(socket);
        match read_answer(&mut line).await? {
            Answer::Done => Ok((line, inner)),
            Answer::Broken(why) => Err(io::Error::other(why)),
            other => Err(io::Error::other(format!("unexpected answer {other:?}"))),
        }
    };
    match begun.await {
        Ok((line, inner)) => Ok((holder, line, inner)),
        Err(error) => {
            let mut said = String::new();
            let _ = holder.kill().await;
            if let Some(mut log) = holder.stderr.take() {
                let _ = log.read_to_string(&mut said).await;
            }
            Err(io::Error::other(format!("{error} {said}").trim().to_owned()))
        }
    }
}

async fn read_answer(line: &mut BufReader<UnixStream>) -> io::Result<Answer> {
    let mut text = Vec::new();
    line.read_until(b'\n', &mut text).await?;
    if text.is_empty() {
        return Err(io::Error::other("the holder of the build's namespaces is gone"));
    }
    Ok(serde_json::from_slice(&text)?)
}
