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
//! | `POST /api/v1/chains` | [`NewChain`] | 201 [`Chain`]; 200 when the same request came before |
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
mod farm;
mod submission;
mod why;

use farm_types::{
    ArtifactId, ArtifactKind, AttemptNumber, BucketName, BuilderName, Cause, Class, Digest, FileName, JobId, JobKey,
    Outcome, PlatformName, Progress, Stage, TaskId, TaskState,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use buckets::{Bucket, BucketChange, BuilderChange, Keep, PlatformChange};
pub use farm::{Builder, Machine, Platform, Queue, RunningTask};
pub use submission::{NewChain, NewJob, NewSource, NewUpload, Retry, Upload};
pub use why::{BuilderVerdict, Expected, PersonAhead, Why};

use crate::{
    error::Reason,
    hub::{LogLine, StageTime},
    options::BuildOptions,
    record::{StageMark, Usage},
};

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
    /// The job it comes after, with whose packages it is built.
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

/// Jobs of which each comes after the one before it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Chain {
    /// The jobs, in their order.
    pub jobs: Vec<Job>,
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
    /// Since when it is set aside: it lost three builders, and is not built again before an administrator has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub set_aside: Option<Timestamp>,
    /// When it is expected to begin and to end, as far as that is known of a task that has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
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
