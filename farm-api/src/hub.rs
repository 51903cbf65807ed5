//! The API of farm-hub, `/hub/v1`: what builders call. Every call carries `Authorization: Bearer <builder's token>`, which an
//! operator put on its host, or which it got for its ticket; calls about one attempt carry its lease in the header `Farm-Lease` ([`farm_types::LeaseKey::to_header`]).
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /hub/v1/token` | a ticket, by Negotiate | [`LoginToken`](crate::LoginToken) |
//! | `POST /hub/v1/hello` | [`Hello`] | [`Welcome`] |
//! | `POST /hub/v1/claim` | [`Claim`] | [`Claimed`], after at most `wait_seconds` |
//! | `POST /hub/v1/renew` | [`Renew`] | [`Renewed`], after at most `wait_seconds`, at once when a lease is gone |
//! | `POST /hub/v1/status` | [`Status`] | [`Wanted`] |
//! | `POST /hub/v1/leave` | [`Leave`] | 204 |
//! | `POST /hub/v1/stage` | [`StageBegan`] | 204 |
//! | `GET /hub/v1/sources/{position}` | | the bytes |
//! | `GET /hub/v1/record` | | the record to build like, as JSON; 404 where there is none |
//! | `GET /hub/v1/packages/{sha256}` | | a package of a job that the task's comes after, one of [`Predecessors`] |
//! | `GET /hub/v1/buckets/{bucket}/…` | | a file of the repository of a bucket that the job builds with, on its platform: `repodata/FILE`, `packages/SHA256/FILE` |
//! | `PUT /hub/v1/log?start=N` | raw bytes of the log from offset N | [`LogTaken`] |
//! | `PUT /hub/v1/blobs/{sha256}` | the bytes, with Content-Length | 204; 200 when it was there |
//! | `POST /hub/v1/finish` | [`Finish`] | 204 |
//! | `POST /hub/v1/release` | [`Release`] | 204 |

use farm_types::{
    ArtifactKind, AttemptNumber, BuilderId, BuilderName, BuilderState, Cause, Digest, FileName, JobId, LeaseKey,
    Outcome, Stage, TaskId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    limits::Limits,
    options::BuildOptions,
    recipe::Recipe,
    record::{StageMark, Usage},
};

/// Name of the header that carries a lease.
pub const LEASE_HEADER: &str = "farm-lease";

/// A builder comes up. Leases of an earlier life of the same builder (another `instance`) end at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// Its name; must be the one that its token belongs to.
    pub name: BuilderName,
    /// New at each start of the daemon.
    pub instance: Uuid,
    /// Version of the program.
    pub version: String,
    /// Architectures it can build for, the native one first: `x86_64`, `i686`.
    pub arches: Vec<String>,
    /// Slots, of which a task takes as many as it weighs.
    pub slots: u32,
    /// Whether it takes over from a daemon that is still there to finish its builds.
    #[serde(default)]
    pub successor: bool,
}

/// The hub's answer to [`Hello`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Welcome {
    /// The builder's number.
    pub builder: BuilderId,
    /// How long a lease lasts without renewal.
    pub lease_seconds: u32,
    /// How often to renew.
    pub renew_seconds: u32,
    /// How many slots the farm reckons with: no more than were said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
}

/// Asks for tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// The daemon's life, as in [`Hello`]; a claim of a life that is over is refused.
    pub instance: Uuid,
    /// Free slots: what is given weighs no more than that together.
    pub want: u32,
    /// How long to wait for the first one, at most 60.
    pub wait_seconds: u32,
}

/// The tasks that a builder now holds; none when the time was up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claimed {
    /// One lease each.
    pub leases: Vec<Lease>,
    /// The next task does not fit into the slots that are free, and the builder keeps them for it: so many have to be free. The answer
    /// comes at once then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saves_slots: Option<u32>,
}

/// One task to build, and the right to do so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lease {
    /// The proof.
    pub key: LeaseKey,
    /// The job it belongs to.
    pub job: JobId,
    /// What the chroot is made from.
    pub recipe: Recipe,
    /// The sources, in the order of the job.
    pub sources: Vec<LeaseSource>,
    /// How long the whole attempt may take.
    pub timeout_seconds: u32,
    /// Whether the build may use the network.
    #[serde(default)]
    pub network: bool,
    /// The record of the build with whose packages this one has to be built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<LeaseRecord>,
    /// What the build is given of the jobs that its own comes after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessors: Option<Predecessors>,
    /// How many of the builder's slots it takes.
    #[serde(default = "one")]
    pub weight: u16,
    /// What the job asks of the build.
    #[serde(default)]
    pub options: BuildOptions,
    /// What the build may use up: the lowest that platform, job and person allow. The builder's own bounds hold as well.
    #[serde(default)]
    pub limits: Limits,
}

fn one() -> u16 {
    1
}

/// The record of another build, a [`BuildRecord`](crate::record::BuildRecord), to be fetched under the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// Its SHA-256, to be verified.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The jobs that a job comes after, and what they made on the platform of the task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessors {
    /// All of them, also those that the nearest one comes after.
    pub jobs: Vec<JobId>,
    /// Their packages, each name once: to be fetched under the lease.
    pub packages: Vec<LeasePackage>,
}

/// A package of a job before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasePackage {
    /// What its file is called.
    pub name: FileName,
    /// Its SHA-256, to be verified.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Which job made it.
    pub job: JobId,
}

/// One SRPM to build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseSource {
    /// Counted from 1.
    pub position: u32,
    /// Its SHA-256, to be verified.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it calls itself, for logs: `hello-1.0-1`. Untrusted text.
    pub label: String,
}

/// Renews all leases of a builder at once and waits for orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Renew {
    /// The daemon's life, as in [`Hello`].
    pub instance: Uuid,
    /// What it holds.
    pub leases: Vec<LeaseKey>,
    /// How long to wait for orders, at most 60.
    pub wait_seconds: u32,
}

/// The hub's answer to [`Renew`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Renewed {
    /// Leases that are gone: stop those builds at once, keep nothing of them.
    pub gone: Vec<Gone>,
}

/// A lease that is no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gone {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptNumber,
    /// `cancelled` when somebody withdrew the task, `lost` otherwise.
    pub outcome: Outcome,
}

/// How a builder stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's life, as in [`Hello`].
    pub instance: Uuid,
    /// Why it takes no tasks, as a sentence; `None`: it takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Processes that run or want to, on the average of a minute.
    pub load: f32,
    /// Processors.
    pub processors: u32,
    /// Bytes of memory that can be had without swapping.
    pub memory_available: u64,
    /// Bytes that are free where it works.
    pub disk_available: u64,
    /// Files that can still be made there.
    pub files_available: u64,
}

/// What an operator wants of a builder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Whether it is given tasks.
    pub state: BuilderState,
    /// Why not, where somebody said so.
    #[serde(default)]
    pub reason: Option<String>,
}

/// This life of a builder hands over to the next one, which will say hello: what it holds stays with it, and it claims no more. If
/// nothing comes of it, it says hello again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leave {
    /// Which, as in [`Hello`].
    pub instance: Uuid,
    /// No next one comes. A builder that registered itself is taken off the list; of others this says nothing.
    #[serde(default)]
    pub for_good: bool,
}

/// The attempt has come to its next stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageBegan {
    /// Which.
    pub stage: Stage,
}

/// How much of the log the hub has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogTaken {
    /// Offset of the next byte that is wanted.
    pub next: u64,
}

/// The attempt has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finish {
    /// `succeeded`, `failed` or `farm_fault`.
    pub outcome: Outcome,
    /// Why, unless it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The stage that it ended in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// One sentence for a person.
    #[serde(default)]
    pub message: String,
    /// The lines of the log that say why.
    #[serde(default)]
    pub excerpt: Vec<LogLine>,
    /// How long each stage took.
    #[serde(default)]
    pub stages: Vec<StageTime>,
    /// Where in the log each stage begins.
    #[serde(default)]
    pub marks: Vec<StageMark>,
    /// What it used up.
    #[serde(default)]
    pub usage: Usage,
    /// What it produced; the blobs were delivered before.
    #[serde(default)]
    pub artifacts: Vec<NewArtifact>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    /// Counted from 1.
    pub number: u64,
    /// The line, without terminal escapes, cut where it is long.
    pub text: String,
}

/// How long a stage took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StageTime {
    /// Which.
    pub stage: Stage,
    /// In milliseconds.
    pub milliseconds: u64,
}

/// A file that an attempt produced.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewArtifact {
    /// What it is. The `log` is gzip compressed and there is at most one; with it the chunks of the log are dropped.
    pub kind: ArtifactKind,
    /// Its name.
    pub name: FileName,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Gives a task back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Release {
    /// Why, for the attempt's record.
    pub message: String,
}
