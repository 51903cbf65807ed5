//! What is kept of an attempt: what it was built in and with, and what it used up.
//!
//! The [`BuildRecord`] is the artifact `buildroot.json` of kind `manifest`: there as soon as there was a chroot, whether the
//! package was built or not. The [`Usage`] and the [`StageMark`]s come with the end of the attempt.

use farm_types::{Digest, PlatformName, Stage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{hub::StageTime, limits::Limits};

/// What the record is called among the artifacts.
pub const FILE_NAME: &str = "buildroot.json";

/// The form of the record that this program writes. What is added to it leaves the number as it is.
pub const FORMAT: u32 = 1;

/// What an attempt used up, as far as its builder could measure it: of the package's own steps, all sources together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// The most memory that all processes held together; where a builder's host does not count that, the most that one of them held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Time of processors, those of all processes added up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milliseconds: Option<u64>,
    /// Bytes written to the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
}

impl Usage {
    /// What one step and another used up.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let of = |one: Option<u64>, other: Option<u64>, both: fn(u64, u64) -> u64| match (one, other) {
            (Some(one), Some(other)) => Some(both(one, other)),
            (one, other) => one.or(other),
        };
        Self {
            peak_memory_bytes: of(self.peak_memory_bytes, other.peak_memory_bytes, u64::max),
            cpu_milliseconds: of(self.cpu_milliseconds, other.cpu_milliseconds, u64::saturating_add),
            written_bytes: of(self.written_bytes, other.written_bytes, u64::saturating_add),
        }
    }
}

/// Where in the log a stage begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StageMark {
    /// Which.
    pub stage: Stage,
    /// Of which source, counted from 1, where it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<u32>,
    /// The first byte of the line that says so.
    pub offset: u64,
    /// The number of that line, counted from 1.
    pub line: u64,
}

/// What an attempt was built in and with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BuildRecord {
    /// See [`FORMAT`].
    pub format: u32,
    /// The platform.
    pub platform: PlatformName,
    /// Its recipe, as the builder was given it. (Not as the type: a record is read for longer than a recipe keeps its form.)
    #[schema(value_type = Object)]
    pub recipe: Value,
    /// What the repositories offered at that time.
    pub repositories: Vec<RepositoryState>,
    /// The name of the base tree.
    pub base: String,
    /// What it was built from, in the order of the job.
    pub sources: Vec<SourceFile>,
    /// The chroots, one for each source that came so far.
    pub buildroots: Vec<Buildroot>,
    /// What the build might use up.
    pub limits: Limits,
    /// Whether the build had the network of its host.
    pub network: bool,
    /// What kept the build apart from its host, as the builder enforced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub isolation: Option<Value>,
    /// What the job asked of its builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub options: Option<Value>,
    /// The programs that built it.
    pub tools: Vec<Tool>,
    /// How long each stage took.
    pub stages: Vec<StageTime>,
    /// What the build used up.
    pub usage: Usage,
}

/// What a repository offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryState {
    /// Its name in the recipe.
    pub name: String,
    /// SHA-256 of its `repomd.xml`.
    pub digest: Digest,
    /// The revision that it says it has, mostly the time when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A source package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceFile {
    /// Counted from 1.
    pub position: u32,
    /// Its SHA-256.
    pub digest: Digest,
}

/// The chroot that a source was built in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Buildroot {
    /// The position of the source.
    pub source: u32,
    /// The names of the layers above the base tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// All that was installed when the build began, by name.
    pub packages: Vec<Package>,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its epoch, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its architecture; absent for what has none, like a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// SHA-256 of its header as it was installed: what the package is, whatever it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The repository that it came from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}

impl Package {
    /// `[epoch:]version-release`.
    #[must_use]
    pub fn evr(&self) -> String {
        let epoch = self.epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
        format!("{epoch}{}-{}", self.version, self.release)
    }

    /// `name-[epoch:]version-release[.arch]`.
    #[must_use]
    pub fn nevra(&self) -> String {
        let arch = self.arch.as_ref().map(|arch| format!(".{arch}")).unwrap_or_default();
        format!("{}-{}{arch}", self.name, self.evr())
    }
}

/// A program of the builder, of its host, or of the chroot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tool {
    /// `farm-builder`, `dnf`, `bwrap`, `kernel`, `rpm`.
    pub name: String,
    /// Its version, as it says it.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_steps_the_higher_peak_counts_and_the_rest_is_added_up() {
        let one = Usage { peak_memory_bytes: Some(7), cpu_milliseconds: Some(10), written_bytes: None };
        let other = Usage { peak_memory_bytes: Some(5), cpu_milliseconds: Some(1), written_bytes: Some(3) };
        let both = Usage { peak_memory_bytes: Some(7), cpu_milliseconds: Some(11), written_bytes: Some(3) };
        assert_eq!(one.and(other), both);
        assert_eq!(one.and(Usage::default()), one);
    }

    #[test]
    fn a_package_is_written_as_rpm_writes_it() {
        let package = Package {
            name: "gcc".into(),
            epoch: Some(2),
            version: "14.2".into(),
            release: "1.f13".into(),
            arch: Some("x86_64".into()),
            digest: None,
            repository: None,
        };
        assert_eq!(package.nevra(), "gcc-2:14.2-1.f13.x86_64");
        assert_eq!(Package { epoch: None, arch: None, ..package }.nevra(), "gcc-14.2-1.f13");
    }
}
