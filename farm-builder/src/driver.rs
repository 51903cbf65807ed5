//! What a driver is asked for and what it answers.
//!
//! A package that does not build is a value, [`BuildOutcome::Failed`]; [`DriverError`] means that the farm failed, so that the
//! task is tried again elsewhere.

use std::{future::Future, path::PathBuf, time::Duration};

use bytes::Bytes;
use farm_api::{
    hub::LogLine,
    limits::Limits,
    options::BuildOptions,
    recipe::{Recipe, Repository},
    record::{BuildRecord, Package, StageMark, Usage},
};
use farm_types::{ArtifactKind, Cause, Digest, FileName, Stage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::isolation::Isolation;

/// Builds packages in chroots.
pub trait Driver: Send + Sync + 'static {
    /// Builds all sources of `request`, in order, and tells `events` how it goes. Once `cancel` is given, everything that the
    /// build started is gone within a second. Whatever the end, nothing is left in the work folder.
    fn build(
        &self,
        request: BuildRequest,
        events: EventSink,
        cancel: CancellationToken,
    ) -> impl Future<Output = Result<BuildReport, DriverError>> + Send;
}

/// One build: all sources of a job on one platform.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Names the build's own folder; unlike that of any other build on this host: `42-1`.
    pub id: FileName,
    /// What to build on.
    pub platform: Recipe,
    /// Verified source packages, in the order to try them.
    pub sources: Vec<PathBuf>,
    /// A folder of the caller's own, into which the results go.
    pub results: PathBuf,
    /// What the build may use up.
    pub limits: BuildLimits,
    /// Whether the build may use the network of the host, if its platform lets builds do so. Else it has a loopback of its own.
    pub network: bool,
    /// The packages that must be installed, exactly these, where an earlier build is done again.
    pub like: Option<Vec<Package>>,
    /// The packages of the jobs before: they lie with what the build itself has made so far, from where packages are installed first.
    pub predecessors: Vec<BuiltFile>,
    /// What the job asks of the build. (Its buckets and repositories are among `repositories`, its limits in `limits`.)
    pub options: BuildOptions,
    /// Repositories that packages are installed from beside the platform's, for this build alone.
    pub repositories: Vec<Repository>,
    /// What the log says first.
    pub remarks: Vec<String>,
}

impl BuildRequest {
    /// Whether the build gets the network of the host: both the job and the platform have to be for it.
    pub fn uses_network(&self) -> bool {
        self.network && self.platform.network
    }
}

/// What a build may use up.
#[derive(Debug, Clone)]
pub struct BuildLimits {
    /// From the first step inside the chroot to the last, all sources together.
    pub timeout: Duration,
    /// Between two outputs.
    pub silence_timeout: Duration,
    /// Bytes of log.
    pub log_bytes: u64,
    /// Bytes of packages.
    pub result_bytes: u64,
    /// Number of packages.
    pub results: u32,
    /// Bytes of memory, of all processes together, files in memory included.
    pub memory_bytes: u64,
    /// Processes and threads at once.
    pub processes: u32,
    /// The share of processor time where it is short; that of the host's own programs is 100.
    pub cpu_weight: u16,
    /// Bytes written into the chroots of one build, all sources together.
    pub disk_bytes: u64,
    /// Files and folders made there.
    pub files: u64,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2 * 3600),
            silence_timeout: Duration::from_secs(3600),
            log_bytes: 512 << 20,
            result_bytes: 16 << 30,
            results: 10_000,
            memory_bytes: 4 << 30,
            processes: 4096,
            // The daemon is to be heard while builds take all they can get.
            cpu_weight: 50,
            disk_bytes: 64 << 30,
            files: 4_000_000,
        }
    }
}

impl BuildLimits {
    /// These, or where others are lower, the others.
    #[must_use]
    pub fn lowered_by(self, others: Limits) -> Self {
        let seconds = |time: Duration, other: Option<u32>| {
            other.map_or(time, |other| time.min(Duration::from_secs(other.into())))
        };
        Self {
            timeout: seconds(self.timeout, others.timeout_seconds),
            silence_timeout: seconds(self.silence_timeout, others.silence_seconds),
            log_bytes: lower(self.log_bytes, others.log_bytes),
            result_bytes: lower(self.result_bytes, others.result_bytes),
            results: lower(self.results, others.results),
            memory_bytes: lower(self.memory_bytes, others.memory_bytes),
            processes: lower(self.processes, others.processes),
            cpu_weight: self.cpu_weight,
            disk_bytes: lower(self.disk_bytes, others.disk_bytes),
            files: lower(self.files, others.files),
        }
    }
}

fn lower<T: Ord>(one: T, other: Option<T>) -> T {
    match other {
        Some(other) => one.min(other),
        None => one,
    }
}

/// Where a driver tells how the build goes. Nobody has to listen. A slow listener slows the build down.
pub type EventSink = mpsc::Sender<BuildEvent>;

/// What a driver tells while it builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// A stage began, and the one before it ended. Stages come again with each source.
    StageBegan(Stage),
    /// The log goes on: bytes as they came, in order.
    Log(Bytes),
}

/// How a build went.
#[derive(Debug, Clone)]
pub struct BuildReport {
    /// How it ended.
    pub outcome: BuildOutcome,
    /// How long each stage took, in the order in which they began, all sources added up.
    pub stages: Vec<(Stage, Duration)>,
    /// Where in the log each of them begins.
    pub marks: Vec<StageMark>,
    /// What the build used up.
    pub usage: Usage,
    /// What really bounded it; `None` if it ended before anything did.
    pub isolation: Option<Isolation>,
    /// What it was built in and with; none where there was no chroot yet. Its sources are the caller's to fill in, who knows them.
    pub record: Option<BuildRecord>,
}

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildOutcome {
    /// All sources are built.
    Succeeded {
        /// The results, in the folder that was asked for.
        packages: Vec<BuiltFile>,
    },
    /// A package did not build, by its own fault.
    Failed(Failure),
    /// It was told to end.
    Cancelled,
}

/// Why and where a package did not build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind of reason.
    pub cause: Cause,
    /// Where.
    pub stage: Stage,
    /// One sentence for a person.
    pub message: String,
    /// The lines of the log that say why.
    pub excerpt: Vec<LogLine>,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is called.
    pub name: FileName,
    /// What it is.
    pub kind: ArtifactKind,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256.
    pub digest: Digest,
}

/// The farm failed, not the package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DriverError {
    /// The kind of reason.
    pub cause: Cause,
    /// Where.
    pub stage: Stage,
    /// What happened, to what, and what to do.
    pub message: String,
}
