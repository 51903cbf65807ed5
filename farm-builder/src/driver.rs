//! What a driver is asked for and what it answers.
//!
//! A package that does not build is a value, [`BuildOutcome::Failed`]; [`DriverError`] means that the farm failed, so that the
//! task is tried again elsewhere.

use std::{future::Future, path::PathBuf, time::Duration};

use bytes::Bytes;
use farm_api::{
    hub::LogLine,
    options::BuildOptions,
    recipe::{Recipe, Repository},
};
use farm_types::{ArtifactKind, Cause, Digest, FileName, Stage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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
    /// What the job asks of the build. (Its buckets and repositories are among `repositories`, its limits in `limits`.)
    pub options: BuildOptions,
    /// Repositories that packages are installed from beside the platform's, for this build alone.
    pub repositories: Vec<Repository>,
    /// What the log says first.
    pub remarks: Vec<String>,
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
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2 * 3600),
            silence_timeout: Duration::from_secs(3600),
            log_bytes: 512 << 20,
            result_bytes: 16 << 30,
        }
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
