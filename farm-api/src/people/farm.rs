//! How the farm stands: its platforms, builders and queue.

use farm_types::{BuilderName, BuilderState, JobId, PlatformName, Stage, TaskId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// Why it is not, where an operator said so, or the farm itself has taken it out of service.
    pub reason: Option<String>,
    /// Since when it is out of service because it spoilt one task after the other.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub out: Option<Timestamp>,
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
    /// Slots that background tasks leave free.
    #[serde(default)]
    pub spare_slots: i32,
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
    /// Since when it has left: it registered itself, and said that it goes or was silent for long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub left: Option<Timestamp>,
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
