//! The API of farm-web, `/api/v1`: what people's tools and scripts call.
//!
//! | call | body or query | answer |
//! |---|---|---|
//! | `POST /api/v1/token` | a ticket, by Negotiate | [`LoginToken`](crate::LoginToken) |
//! | `GET /api/v1/whoami` | | [`Whoami`](crate::access::Whoami) |
//! | `GET /api/v1/tokens` | | list of [`TokenInfo`](crate::access::TokenInfo), one's own |
//! | `POST /api/v1/tokens` | [`NewToken`](crate::access::NewToken) | 201 [`MadeToken`](crate::access::MadeToken) |
//! | `DELETE /api/v1/tokens/{id}` | | 204 |
//! | `GET /api/v1/audit` | [`AuditFilter`](crate::access::AuditFilter) | list of [`AuditEntry`](crate::access::AuditEntry) |
//! | `GET /api/v1/buckets` | | list of [`Bucket`] |
//! | `PUT /api/v1/buckets/{name}` | [`BucketChange`] | 204 |
//! | `POST /api/v1/builders/{name}/state` | [`BuilderChange`] | 204 |
//! | `POST /api/v1/platforms/{name}/state` | [`PlatformChange`] | 204 |
//! | `GET /api/v1/platforms` | | list of [`Platform`] |
//! | `GET /api/v1/builders` | | list of [`Builder`] |
//! | `GET /api/v1/queue` | | [`Queue`] |
//! | `POST /api/v1/uploads` | [`NewUpload`] | [`Upload`] |
//! | `GET /api/v1/uploads/{id}` | | [`Upload`] |
//! | `PATCH /api/v1/uploads/{id}?offset=N` | the bytes from offset N on | [`Upload`] |
//! | `POST /api/v1/jobs` | [`NewJob`] | 201 [`Job`]; 200 when the same request came before |
//! | `GET /api/v1/jobs` | [`JobFilter`] | [`JobPage`] |
//! | `GET /api/v1/jobs/{id}` | | [`Job`] |
//! | `GET /api/v1/jobs/{id}/events` | | server-sent events `job`: a [`Job`] at once and after each change, until its end |
//! | `POST /api/v1/jobs/{id}/cancel` | | [`Job`] |
//! | `POST /api/v1/jobs/{id}/retry` | [`Retry`] | [`Job`] |
//! | `GET /api/v1/tasks/{id}` | | [`Task`] |
//! | `GET /api/v1/tasks/{id}/why` | | [`Why`] |
//! | `GET /api/v1/tasks/{id}/buildroot` | `attempt=N` `source=N` | [`BuildrootView`](crate::record::BuildrootView) |
//! | `GET /api/v1/tasks/{id}/log` | `attempt=N` `start=BYTES` `follow=true` | the log as plain text |
//! | `GET /artifacts/{id}/{name}` | | the file, with Range and ETag |

mod buckets;
mod why;

use farm_types::{
    ArtifactId, ArtifactKind, AttemptNumber, BucketName, BuilderName, BuilderState, Cause, Class, Digest, FileName,
    JobId, JobKey, Outcome, PlatformName, Progress, Stage, TaskId, TaskState,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

pub use buckets::{Bucket, BucketChange, BuilderChange, Keep, PlatformChange};
pub use why::{BuilderVerdict, Why};

use crate::{
    error::Reason,
    hub::{LogLine, StageTime},
    options::{BuildOptions, NewOptions},
    record::{StageMark, Usage},
};

/// A platform.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Platform {
    /// Its name.
    pub name: PlatformName,
    /// One line for people.
    pub description: String,
    /// Whether it takes new tasks.
    pub enabled: bool,
    /// Whether `auto` includes it.
    pub auto: bool,
    /// Tasks ready to be claimed.
    pub pending: i64,
    /// Tasks being built.
    pub running: i64,
    /// Builders that could take its tasks at this moment.
    pub builders: i64,
}

/// A builder.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Builder {
    /// Its name.
    pub name: BuilderName,
    /// Whether it is given tasks.
    pub state: BuilderState,
    /// Why it is not, where an operator said so.
    pub reason: Option<String>,
    /// Whether it was heard of in the last minutes.
    pub alive: bool,
    /// When it was last heard of.
    #[schema(value_type = Option<String>)]
    pub last_seen: Option<Timestamp>,
    /// Version of its program.
    pub version: Option<String>,
    /// What it can build for.
    pub arches: Vec<String>,
    /// Slots, of which a task takes as many as it weighs.
    pub slots: i32,
    /// Slots that are taken.
    #[serde(default)]
    pub used: i32,
    /// Why it takes no tasks although it is given some, as it says itself.
    #[serde(default)]
    pub takes_nothing: Option<String>,
    /// The task that it keeps its slots free for, because that does not fit into those that are.
    #[serde(default)]
    pub saves_for: Option<TaskId>,
    /// How its machine stands, where it has said so.
    #[serde(default)]
    pub machine: Option<Machine>,
    /// What it is doing.
    pub running: Vec<RunningTask>,
    /// Since when it counts as vanished: it should be there and is not.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub gone: Option<Timestamp>,
}

/// What is left of a builder's machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    /// Processes that run or want to, on the average of a minute.
    pub load: f32,
    /// Processors.
    pub processors: i32,
    /// Bytes of memory that can be had without swapping.
    pub memory_available: u64,
    /// Bytes that are free where it works.
    pub disk_available: u64,
    /// Files that can still be made there.
    pub files_available: u64,
    /// When it said so.
    #[schema(value_type = String)]
    pub at: Timestamp,
}

/// A task that a builder holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RunningTask {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskId,
    /// The platform.
    pub platform: PlatformName,
    /// The packages, for people.
    pub title: String,
    /// What it is at.
    pub stage: Option<Stage>,
    /// Since when.
    #[schema(value_type = String)]
    pub started: Timestamp,
    /// How many slots it takes.
    #[serde(default = "one")]
    pub weight: i32,
}

fn one() -> i32 {
    1
}

/// The state of the whole queue.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// Jobs that no validator has decided on yet.
    pub submitted: i64,
    /// Tasks that wait for another job.
    pub waiting: i64,
    /// Tasks ready to be claimed.
    pub pending: i64,
    /// Tasks being built.
    pub running: i64,
    /// When the oldest pending task was made.
    #[schema(value_type = Option<String>)]
    pub oldest_pending: Option<Timestamp>,
    /// Per platform.
    pub platforms: Vec<Platform>,
}

/// Asks whether the server has a file, and if not, to take it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewUpload {
    /// SHA-256 of the whole file.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Where an upload stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// Where to send the bytes; absent when the server has the file.
    pub id: Option<Uuid>,
    /// How many bytes the server has; equal to `size` when it has the file.
    pub offset: u64,
    /// Size of the whole file.
    pub size: u64,
    /// Whether the server has the whole file, verified.
    pub complete: bool,
}

/// Hands in a job. The files were uploaded before.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// Makes the same request sent again the same job: `--id`, or a random key that the tool made.
    pub key: JobKey,
    /// One line for people; the names of the sources when absent.
    #[serde(default)]
    pub title: Option<String>,
    /// The sources, at least one.
    pub sources: Vec<NewSource>,
    /// Targets as the user wrote them; empty means `auto`.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Where results go; `scratch` when absent.
    #[serde(default)]
    pub bucket: Option<BucketName>,
    /// Who goes first; `normal` when absent.
    #[serde(default)]
    pub class: Option<Class>,
    /// How long each task may take, in seconds.
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    /// Begin only when that job has succeeded.
    #[serde(default)]
    pub after: Option<JobId>,
    /// Let its builds use the network: takes the right `network`, and platforms that allow it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// Build with the very packages that this task was built with, on its platform; of a job of one source. It fails where the
    /// repositories do not have them all any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<TaskId>,
    /// What its builds are asked for.
    #[serde(default, skip_serializing_if = "NewOptions::is_default")]
    pub options: NewOptions,
}

/// A source of a job.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSource {
    /// What the submitter calls the file; any text, shown escaped, never a path.
    pub name: String,
    /// SHA-256 of the uploaded file.
    pub digest: Digest,
}

/// Which tasks to build again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Only those that failed, and not those that were cancelled.
    #[serde(default)]
    pub failed_only: bool,
}

/// Which jobs to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobFilter {
    /// Only that person's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Only those that stand so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Only those with a task on that platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformName>,
    /// Only those with a source of that package name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Only those older than that job: the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// At most so many; 50 when absent, 500 at the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of jobs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobPage {
    /// The jobs, newest first; their `tasks` hold no attempts and no artifacts.
    pub jobs: Vec<Job>,
    /// `before` of the next page, where there is one.
    pub next: Option<i64>,
}

/// A job.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What its submitter calls it.
    pub key: JobKey,
    /// Who submitted it.
    pub person: String,
    /// One line for people.
    pub title: String,
    /// Where results go.
    pub bucket: BucketName,
    /// Who goes first.
    pub class: Class,
    /// Targets as asked for.
    pub targets: String,
    /// The job it comes after.
    pub after: Option<JobId>,
    /// The build whose packages it is built with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<Like>,
    /// What its builds are asked for.
    #[serde(default)]
    pub options: BuildOptions,
    /// How it stands.
    pub progress: Progress,
    /// Tasks that succeeded, for “3 of 4 built”.
    pub succeeded: i64,
    /// All its tasks.
    pub total: i64,
    /// Why it was rejected.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// What to mind though it was accepted.
    #[serde(default)]
    pub warnings: Vec<Reason>,
    /// When it was handed in.
    #[schema(value_type = String)]
    pub submitted: Timestamp,
    /// When the last of its tasks ended.
    #[schema(value_type = Option<String>)]
    pub finished: Option<Timestamp>,
    /// Its sources.
    pub sources: Vec<Source>,
    /// Its tasks, by platform.
    pub tasks: Vec<Task>,
    /// What has become of its files, where they are not kept any more.
    #[serde(default)]
    pub gone: Option<GoneFiles>,
    /// Its page, relative to the server.
    pub url: String,
}

/// A build whose packages another one is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Like {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptNumber,
}

/// Sources, results and logs of a job that were removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GoneFiles {
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Why, for a person.
    pub why: String,
    /// How many bytes they had.
    pub bytes: i64,
}

/// A source of a job.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Source {
    /// Counted from 1.
    pub position: i32,
    /// What the submitter called the file.
    pub file_name: String,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: i64,
    /// `name-[epoch:]version-release` as the package says, once validated.
    pub nevr: Option<String>,
}

/// A task.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// Its job.
    pub job: JobId,
    /// Its platform.
    pub platform: PlatformName,
    /// How it stands.
    pub state: TaskState,
    /// Why it failed or was cancelled.
    pub cause: Option<Cause>,
    /// The stage it is in or ended in.
    pub stage: Option<Stage>,
    /// One sentence for a person: why it failed, what it waits for.
    pub message: Option<String>,
    /// The lines of the log that say why it failed.
    #[serde(default)]
    pub excerpt: Vec<LogLine>,
    /// Who builds it, or built it last.
    pub builder: Option<BuilderName>,
    /// When it was made.
    #[schema(value_type = String)]
    pub created: Timestamp,
    /// When its latest attempt began.
    #[schema(value_type = Option<String>)]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>)]
    pub finished: Option<Timestamp>,
    /// All attempts, the latest last.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// What the successful attempt produced, and its log; of a failed task, the log.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// Its page, relative to the server.
    pub url: String,
    /// Its log, relative to the server.
    pub log_url: String,
}

/// An attempt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Counted from 1.
    pub number: AttemptNumber,
    /// By whom.
    pub builder: BuilderName,
    /// How it ended; absent while it runs.
    pub outcome: Option<Outcome>,
    /// Why.
    pub cause: Option<Cause>,
    /// Where it is or ended.
    pub stage: Option<Stage>,
    /// One sentence for a person.
    pub message: Option<String>,
    /// How long each stage took.
    #[serde(default)]
    pub stages: Vec<StageTime>,
    /// Where in the log each stage begins; known when the attempt has ended.
    #[serde(default)]
    pub marks: Vec<StageMark>,
    /// What it used up; known when the attempt has ended.
    #[serde(default)]
    pub usage: Usage,
    /// What it was built in and with, a [`BuildRecord`](crate::record::BuildRecord), relative to the server.
    #[serde(default)]
    pub record_url: Option<String>,
    /// When it began.
    #[schema(value_type = String)]
    pub started: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>)]
    pub finished: Option<Timestamp>,
    /// Bytes of log that are kept.
    pub log_size: i64,
}

/// A file that an attempt produced.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Artifact {
    /// Its number.
    pub id: ArtifactId,
    /// What it is.
    pub kind: ArtifactKind,
    /// Its name.
    pub name: FileName,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: i64,
    /// Where it is, relative to the server.
    pub url: String,
}
