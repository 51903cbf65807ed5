//! What is kept of an attempt: what it was built in and with, and what it used up.
//!
//! The [`BuildRecord`] is the artifact `buildroot.json` of kind `manifest`: there as soon as there was a chroot, whether the
//! package was built or not. The [`Usage`] and the [`StageMark`]s come with the end of the attempt.

use std::collections::BTreeMap;

use farm_types::{AttemptNumber, Digest, FileName, JobId, PlatformName, Stage, TaskId};
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
    /// These numbers, and where one is missing, the other's.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            peak_memory_bytes: self.peak_memory_bytes.or(other.peak_memory_bytes),
            cpu_milliseconds: self.cpu_milliseconds.or(other.cpu_milliseconds),
            written_bytes: self.written_bytes.or(other.written_bytes),
        }
    }

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
    /// The packages of the jobs before it that it could install.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<EarlierPackage>,
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

/// A package of a job that the build's own came after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EarlierPackage {
    /// What its file is called.
    pub name: FileName,
    /// Its SHA-256.
    pub digest: Digest,
    /// Which job made it.
    pub job: JobId,
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

/// What a source was built in, and what has changed since the package was built before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BuildrootView {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptNumber,
    /// The position of the source.
    pub source: u32,
    /// All that was installed; nothing where the chroot of that source was not finished.
    pub packages: Vec<Package>,
    /// The last build before that succeeded, of the same package on the same platform, in another job.
    pub since: Option<EarlierBuild>,
    /// What has changed since then.
    pub changes: Vec<PackageChange>,
    /// The whole record, a [`BuildRecord`], relative to the server.
    pub record_url: String,
}

/// An earlier build of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EarlierBuild {
    /// Its job.
    pub job: JobId,
    /// Its task.
    pub task: TaskId,
    /// `name-[epoch:]version-release` of the source.
    pub nevr: Option<String>,
}

/// A package that is another one now, came, or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: Option<String>,
    /// `[epoch:]version-release` before; absent if it was not there.
    pub before: Option<String>,
    /// The same now; the same text too, if it was built anew under its old name.
    pub now: Option<String>,
}

/// What has changed between two lists of packages, by name.
#[must_use]
pub fn changes(before: &[Package], now: &[Package]) -> Vec<PackageChange> {
    // What is there in both is no news. (Of some packages, like kernels and keys, there are several of one name.)
    let same = |one: &Package, other: &Package| {
        let name = |package: &Package| (package.name.clone(), package.evr(), package.arch.clone());
        name(one) == name(other) && (one.digest == other.digest || one.digest.is_none() || other.digest.is_none())
    };
    let without = |all: &[Package], others: &[Package]| -> Vec<Package> {
        let known = by_name(others);
        let is_news = |package: &&Package| {
            !known.get(package.name.as_str()).is_some_and(|known| known.iter().any(|other| same(package, other)))
        };
        all.iter().filter(is_news).cloned().collect()
    };
    let (gone, come) = (without(before, now), without(now, before));
    let mut changes: Vec<PackageChange> = Vec::new();
    let mut come_by_name = by_name(&come);
    for package in &gone {
        let successors = come_by_name.get_mut(package.name.as_str());
        let successor = successors.and_then(|all| {
            let at = all.iter().position(|other| other.arch == package.arch).unwrap_or_default();
            (at < all.len()).then(|| all.remove(at))
        });
        changes.push(PackageChange {
            name: package.name.clone(),
            arch: successor.map_or(package.arch.clone(), |successor| successor.arch.clone()),
            before: Some(package.evr()),
            now: successor.map(Package::evr),
        });
    }
    let new = come_by_name.into_values().flatten().map(|package| PackageChange {
        name: package.name.clone(),
        arch: package.arch.clone(),
        before: None,
        now: Some(package.evr()),
    });
    changes.extend(new);
    changes.sort_by(|one, other| one.name.cmp(&other.name));
    changes
}

fn by_name(packages: &[Package]) -> BTreeMap<&str, Vec<&Package>> {
    let mut map = BTreeMap::<_, Vec<_>>::new();
    for package in packages {
        map.entry(package.name.as_str()).or_default().push(package);
    }
    map
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

    fn package(nevra: &str, digest: u8) -> Package {
        let (nevr, arch) = nevra.rsplit_once('.').unwrap();
        let [release, version, name] = nevr.rsplitn(3, '-').collect::<Vec<_>>().try_into().unwrap();
        Package {
            name: name.to_owned(),
            epoch: None,
            version: version.to_owned(),
            release: release.to_owned(),
            arch: Some(arch.to_owned()),
            digest: Some(Digest::from_bytes([digest; 32])),
            repository: None,
        }
    }

    #[test]
    fn what_changed_is_what_is_other_came_or_went() {
        let before = ["gcc-14-1.x", "bash-5-1.x", "make-4-1.x", "zlib-1-1.x", "kernel-1-1.x", "kernel-2-1.x"];
        let before = before.map(|nevra| package(nevra, 1));
        let mut now = ["gcc-15-1.x", "bash-5-1.x", "zlib-1-1.x", "perl-5-1.x", "kernel-2-1.x", "kernel-3-1.x"]
            .map(|nevra| package(nevra, 1));
        now[2].digest = Some(Digest::from_bytes([2; 32]));
        let changes: Vec<_> = changes(&before, &now)
            .into_iter()
            .map(|change| {
                format!("{} {} {}", change.name, change.before.unwrap_or_default(), change.now.unwrap_or_default())
            })
            .collect();
        assert_eq!(changes, ["gcc 14-1 15-1", "kernel 1-1 3-1", "make 4-1 ", "perl  5-1", "zlib 1-1 1-1"]);
        assert_eq!(super::changes(&now, &now), []);
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
