//! Ids as types of their own, so that a task's number cannot be used as a job's.

use serde::{Deserialize, Serialize};

/// A text that is no positive number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is no {1} number; numbers look like 42")]
pub struct ParseIdError(String, &'static str);

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $what:literal, $int:ty) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text.parse::<$int>() {
                    Ok(n) if n > 0 => Ok(Self(n)),
                    _ => Err(ParseIdError(text.to_owned(), $what)),
                }
            }
        }

        impl From<$int> for $name {
            fn from(n: $int) -> Self {
                Self(n)
            }
        }
    };
}

id!(/// Number of a job. People see it: `farm show 42`.
    JobId, "job", i64);
id!(/// Number of a source, one SRPM of a job.
    SourceId, "source", i64);
id!(/// Number of a task, one job on one platform.
    TaskId, "task", i64);
id!(/// Number of an artifact.
    ArtifactId, "artifact", i64);
id!(/// Number of a builder.
    BuilderId, "builder", i32);
id!(/// Number of a person.
    PersonId, "person", i32);
id!(/// Which execution of a task this is, counted from 1. It only ever grows, and so fences: what a builder writes for
    /// attempt 1 is refused once attempt 2 has begun.
    AttemptNumber, "attempt", i32);
