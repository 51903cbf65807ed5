//! What a build is locked into: its control group, the namespaces that its steps enter, and the place for what it writes. Made
//! before its first step and gone after its last.

use std::{
    io,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::Duration,
};

use farm_api::record::Usage;
use sha2::{Digest as _, Sha256};
use tokio::{
    process::Child,
    sync::Mutex,
    time::{Instant, sleep},
};

use super::{
    files::beside,
    helper::{Helpers, StepEnd, reap},
    holder::{Held, Line, hold},
    spare::Started,
    watch::{Clock, Journal, Stop},
};
use crate::{
    cgroup::{self, Cgroup, Cgroups, Entrance, GroupLimits},
    driver::BuildLimits,
    isolation::{self, Isolation},
    sandbox::{Answer, Bounds, Order, Scratch, Use},
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
            build: None,
        };
        let memory = match hold(helpers, order).await {
            Ok(Held { mut holder, line, .. }) => {
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
    /// A helper in them that was started ahead.
    first: std::sync::Mutex<Option<Started>>,
    line: Mutex<Line>,
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
        let group = locks
            .groups
            .as_ref()
            .ok()
            .map(|groups| make_group(groups, &record, helpers, folder, limits))
            .transpose()?;
        let order = Order::Hold { folder: folder.join(SCRATCH), scratch, build: Some(folder.to_owned()) };
        let Held { holder, line, inner, first } = hold(helpers, order).await?;
        let groups = locks.groups.as_ref().map(Cgroups::kind).map_err(String::as_str);
        let mut isolation = Isolation::native(groups, scratch, network);
        isolation.lacks.extend(locks.memory.as_ref().err().cloned());
        let (line, first) = (Mutex::new(line), std::sync::Mutex::new(first));
        Ok(Self { helpers, limits, group, record, holder, inner, first, line, isolation })
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
        // What the kernel has killed may be part of what seems to have ended well: a layer, or a package.
        if self.kills() > kills && !matches!(end, Ok(StepEnd::Stopped(Stop::Cancelled))) {
            return Ok(StepEnd::Stopped(Stop::OutOfMemory));
        }
        if is_settled(&end) {
            return end;
        }
        match self.measure().await {
            Measured::Use(used) => self.full(&used).map_or(end, |stop| Ok(StepEnd::Stopped(stop))),
            Measured::Uncountable => Ok(StepEnd::Stopped(Stop::Uncountable)),
            // What the step said is worth more.
            Measured::Broken(_) => end,
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
                Measured::Use(used) => {
                    if let Some(stop) = self.full(&used) {
                        return stop;
                    }
                }
                Measured::Uncountable => return Stop::Uncountable,
                Measured::Broken(error) => {
                    tracing::error!(%error, "nobody watches what a build writes, so it is ended");
                    return Stop::Unwatched;
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

    /// How a helper comes into the build's group, if there is one.
    pub fn entrance(&self) -> io::Result<Option<Entrance<'_>>> {
        self.group.as_ref().map(Cgroup::entrance).transpose()
    }

    /// A helper in the user and mount namespaces of the build.
    pub async fn helper(&self) -> io::Result<Started> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(first) => Ok(first),
            None => self.helpers.start(Some(self.inner)).await,
        }
    }

    /// What processes of the build inherit.
    pub fn bounds(&self) -> Bounds {
        isolation::bounds(self.limits, self.group.is_some())
    }

    /// How much is written.
    async fn measure(&self) -> Measured {
        match self.line.lock().await.ask().await {
            Ok(Answer::Use(used)) => Measured::Use(used),
            Ok(Answer::Broken(why)) => {
                tracing::info!(why, "what a build has written cannot be counted");
                Measured::Uncountable
            }
            Ok(other) => Measured::Broken(io::Error::other(format!("unexpected answer {other:?}"))),
            Err(error) => Measured::Broken(error),
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
        (used.free_bytes < HOST_NEEDS).then_some(Stop::HostDiskFull)
    }

    /// Ends everything in it and answers what the build used up.
    pub async fn close(self) -> Usage {
        let usage = self.group.as_ref().map_or_else(Usage::default, |group| Usage {
            peak_memory_bytes: group.peak_memory_bytes(),
            cpu_milliseconds: group.cpu_milliseconds(),
            written_bytes: group.written_bytes(),
        });
        drop(self.line);
        // Where no step was begun.
        let first = self.first.into_inner().unwrap_or_else(PoisonError::into_inner).map(|(first, _)| first);
        for mut helper in first.into_iter().chain([self.holder]) {
            if let Err(error) = reap(&mut helper).await {
                tracing::warn!(%error, "a helper that holds a build's namespaces does not end");
            }
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
        Ok(StepEnd::Answer(answer)) => is_good(answer),
        Err(_) => false,
    }
}

fn is_good(answer: &Answer) -> bool {
    match answer {
        // The first is the one that may use up something.
        Answer::All(answers) => answers.first().is_some_and(is_good),
        answer => matches!(answer, Answer::Exit(0) | Answer::Done | Answer::Collected(_) | Answer::Layer(_)),
    }
}

/// What a look at the scratch gave.
enum Measured {
    /// It holds this.
    Use(Use),
    /// The build has made something that cannot be counted.
    Uncountable,
    /// The holder does not answer.
    Broken(io::Error),
}

/// Removes the control group that an earlier life has left, as its record says, and the record.
pub fn remove_group(build: &Path) -> io::Result<()> {
    let record = beside(build, "cgroup");
    let Ok(text) = fs_err::read_to_string(&record) else { return Ok(()) };
    cgroup::remove(&text.lines().map(PathBuf::from).collect::<Vec<_>>())?;
    fs_err::remove_file(record)
}

/// Notes the folders of the group before they are made, so that whatever happens, they are found again.
fn make_group(
    groups: &Cgroups,
    record: &Path,
    helpers: &Helpers,
    folder: &Path,
    limits: &BuildLimits,
) -> io::Result<Cgroup> {
    // Builders of several farms on one host may have one name and tasks of one number, but not one data folder.
    let data = Sha256::digest(helpers.data.as_os_str().as_encoded_bytes());
    let place = u32::from_be_bytes([data[0], data[1], data[2], data[3]]);
    let id = folder.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("farm-{place:08x}-{id}");
    let folders: Vec<_> = groups.folders(&name).iter().map(|folder| folder.display().to_string()).collect();
    fs_err::write(record, folders.join("\n"))?;
    let (memory_bytes, processes, cpu_weight) = (limits.memory_bytes, limits.processes, limits.cpu_weight);
    groups.make(&name, &GroupLimits { memory_bytes, processes, cpu_weight })
}
