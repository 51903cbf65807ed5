//! What administrators look after: buckets, and changes of builders and platforms.

use farm_types::{BucketName, BuilderState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// One line for people.
    pub description: String,
    /// Whether everybody sees what is in it.
    pub public: bool,
    /// How long it keeps what is in it.
    #[serde(default, skip_serializing_if = "Keep::is_forever")]
    pub keep: Keep,
}

/// How long a bucket keeps the files of jobs: their sources, results and logs. Without a bound, for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// So many days after a job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i64>,
    /// Of each package on each platform the last builds that succeeded, and as many that did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builds: Option<i64>,
    /// The newest, up to so many bytes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// The newest of each person, up to so many bytes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_each: Option<i64>,
}

impl Keep {
    /// Whether there is no bound.
    pub fn is_forever(&self) -> bool {
        *self == Self::default()
    }
}

/// Makes a bucket, or changes one; what is absent stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BucketChange {
    /// One line for people.
    pub description: Option<String>,
    /// Whether everybody sees what is in it; a new one is public when absent.
    pub public: Option<bool>,
}

/// Says whether a builder is given tasks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BuilderChange {
    /// Whether it is.
    pub state: BuilderState,
    /// Why, for its page.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Opens or closes a platform.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformChange {
    /// Whether it takes new tasks.
    pub enabled: bool,
}
