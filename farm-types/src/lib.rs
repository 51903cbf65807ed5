//! The words of the farm as types: ids, names, states, causes, targets.
//!
//! Every program and every library of the farm speaks in these; `docs/GLOSSARY.md` says what each means.
//! Nothing here reads, writes, or waits.

mod access;
mod digest;
mod ids;
mod label;
mod lease;
mod names;
mod outcome;
mod size;
mod state;
mod target;
mod wait;

pub use access::{Grant, ParseGrantError, Right, Scope, TokenKind, Way};
pub use digest::{Digest, ParseDigestError};
pub use ids::{ArtifactId, AttemptNumber, BuilderId, JobId, ParseIdError, PersonId, SourceId, TaskId};
pub use label::UnknownLabel;
pub use lease::{LeaseKey, LeaseToken, ParseLeaseError};
pub use names::{
    BucketName, BuilderName, Condition, FileName, FleetName, GroupName, JobKey, MacroName, MacroValue, NameError,
    PlatformName, RepositoryName,
};
pub use outcome::{Cause, Outcome, Stage};
pub use size::{ParseSizeError, Size};
pub use state::{ArtifactKind, BuilderState, Class, JobState, Progress, TaskState};
pub use target::{PlatformChoice, TargetList, TargetProblem};
pub use wait::WaitReason;
