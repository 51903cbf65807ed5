//! Why a task waits.

use farm_types::{BuilderName, TaskId, TaskState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a task is where it is. Never without a reason.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The task.
    pub task: TaskId,
    /// How it stands.
    pub state: TaskState,
    /// The answer in one sentence.
    pub summary: String,
    /// Tasks of its platform that go before it.
    pub ahead: Option<i64>,
    /// Each builder that comes into question, and why it does not take the task now.
    pub builders: Vec<BuilderVerdict>,
}

/// What one builder has to do with a task.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BuilderVerdict {
    /// Which.
    pub builder: BuilderName,
    /// Whether it could take the task now.
    pub could_take_it: bool,
    /// Why, or why not.
    pub reason: String,
}
