//! What people see, as the types of [`farm_api::people`]. Each function is one query.

mod artifacts;
mod buckets;
mod chain;
mod farm;
mod jobs;
mod logs;
mod past;
mod records;
mod tasks;
mod why;

pub use artifacts::{StoredArtifact, artifact};
pub(crate) use buckets::BUCKET;
pub use buckets::buckets;
pub use chain::{Link, chain};
pub use farm::{RegisteredBuilder, builders, platforms, queue, registered_builders, running};
pub use jobs::{job, job_expecting, jobs, titles};
pub use logs::{LogChunk, LogPlace, log_chunks, log_place};
pub use past::{PastAttempt, past_attempts};
pub use records::{RecordPlace, earlier_record, record};
pub use tasks::{set_aside, task};
pub use why::{expect, why};
