//! What is handed in: files, and jobs of them.

use farm_types::{BucketName, Class, Digest, JobId, JobKey, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::options::NewOptions;

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
    /// Begin only when that job has succeeded, and build with what it and all before it made.
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

/// Hands in a chain: jobs of which each comes after the one before it, and is built with what all before it made. All of them are made,
/// or none is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChain {
    /// The jobs, in their order; only the first may say what it comes after.
    pub jobs: Vec<NewJob>,
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
