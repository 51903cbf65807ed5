//! What a reading of a package answers.

use std::{io, path::PathBuf};

use crate::{BinaryPackage, Problem, SourcePackage, Warning};

/// The result of reading a package: what it is, and everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<P> {
    /// What the package says of itself; `None` where its header cannot be believed.
    pub package: Option<P>,
    /// Every reason to refuse it.
    pub problems: Vec<Problem>,
    /// What its maker should know, although it is taken.
    pub warnings: Vec<Warning>,
}

/// Answer of [`read_source`](crate::read_source).
pub type SourceReport = Report<SourcePackage>;

/// Answer of [`read_binary`](crate::read_binary).
pub type BinaryReport = Report<BinaryPackage>;

impl<P> Report<P> {
    /// A report of a file that is no whole package.
    pub(crate) fn broken(problem: Problem) -> Self {
        Self { package: None, problems: vec![problem], warnings: Vec::new() }
    }

    /// The package if nothing is wrong with it, else every reason to refuse it.
    pub fn accept(self) -> Result<P, Vec<Problem>> {
        match self.package {
            Some(package) if self.problems.is_empty() => Ok(package),
            _ => Err(self.problems),
        }
    }
}

/// The farm could not read its own copy of a package: says nothing about the package, try again.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the package {}: {source}; check the disk that it is on", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}
