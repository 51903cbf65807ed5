//! Names of packages.

use std::fmt;

/// Name, epoch, version, release, architecture: what rpm tells packages apart by. Two files of the same are not the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Nevra {
    /// Name.
    pub name: String,
    /// Epoch; most packages have none, which counts as 0.
    pub epoch: Option<u32>,
    /// Version.
    pub version: String,
    /// Release.
    pub release: String,
    /// Architecture; of a source package `src`, or `nosrc` where sources are left out.
    pub arch: String,
}

impl Nevra {
    /// The usual file name without the epoch: `hello-2.10-1.x86_64.rpm`.
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.{}.rpm", self.name, self.version, self.release, self.arch)
    }

    /// `[epoch:]version-release`.
    pub fn evr(&self) -> String {
        match self.epoch {
            Some(epoch) => format!("{epoch}:{}-{}", self.version, self.release),
            None => format!("{}-{}", self.version, self.release),
        }
    }
}

impl fmt::Display for Nevra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.{}", self.name, self.evr(), self.arch)
    }
}
