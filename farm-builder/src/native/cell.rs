//! What a build is locked into: its control group, the namespaces that its steps enter, and the place for what it writes. Made
//! before its first step and gone after its last.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use farm_api::record::Usage;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::Child,
    sync::Mutex,
    time::{Instant, sleep},
};

use super::{
    files::beside,
    helper::{Helpers, StepEnd, child_of, reap},
    spare::Spare,
    watch::{Clock, Journal, Stop},
};
use crate::{
    cgroup::{self, Cgroup, Cgroups, Entrance, GroupLimits},
    driver::BuildLimits,
    isolation::{self, Isolation},
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
            build: None,
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
        let (holder, line, inner) = hold(helpers, order).await?;
        let groups = locks.groups.as_ref().map(Cgroups::kind).map_err(String::as_str);
        let mut isolation = Isolation::native(groups, scratch, network);
        isolation.lacks.extend(locks.memory.as_ref().err().cloned());
        Ok(Self { helpers, limits, group, record, holder, inner, line: Mutex::new(line), isolation })
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

    /// The process whose user and mount namespaces steps enter.
    pub fn inner(&self) -> u32 {
        self.inner
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

/// The line to a holder. A question whose answer nobody waited for is answered all the same, before the next one.
#[derive(Debug)]
struct Line {
    socket: BufReader<UnixStream>,
    /// Questions without an answer.
    open: u32,
    /// The beginning of an answer.
    begun: Vec<u8>,
}

impl Line {
    fn new(socket: UnixStream) -> Self {
        Self { socket: BufReader::new(socket), open: 0, begun: Vec::new() }
    }

    async fn ask(&mut self) -> io::Result<Answer> {
        self.socket.write_all(b"\n").await?;
        self.open += 1;
        loop {
            let answer = self.next().await?;
            self.open -= 1;
            if self.open == 0 {
                return Ok(answer);
            }
        }
    }

    /// The next answer. When it is dropped before its time, what has come already is kept.
    async fn next(&mut self) -> io::Result<Answer> {
        self.socket.read_until(b'\n', &mut self.begun).await?;
        if self.begun.is_empty() {
            return Err(io::Error::other("the holder of the build's namespaces is gone"));
        }
        let line = std::mem::take(&mut self.begun);
        Ok(serde_json::from_slice(&line)?)
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

/// Starts a helper that stays, and answers it with the process whose namespaces can be entered.
async fn hold(helpers: &Helpers, order: Order) -> io::Result<(Child, Line, u32)> {
    let errand = Errand { order, bounds: Bounds::default() };
    let (mut holder, mut socket) = Spare::take(helpers).await?;
    let begun = async {
        helpers.greet(&mut holder, &mut socket, &errand, None).await?;
        let inner = child_of(holder.id())?;
        let mut line = Line::new(socket);
        match line.next().await? {
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
