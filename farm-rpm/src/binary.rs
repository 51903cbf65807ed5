//! Packages that a build made.

use std::{fs::File, io, io::Read, path::Path};

use rpm::IndexTag;

use crate::{
    BinaryReport, Compression, Dependency, Limits, Nevra, ReadError, Report,
    envelope::{self, Envelope},
    facts::{self, Findings},
    header::Stop,
};

/// What a built package says of itself: a binary package, or the source package that the build rewrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BinaryPackage {
    /// Its name and so on.
    pub nevra: Nevra,
    /// One line on what it is.
    pub summary: String,
    /// File name of the source package that it was built from; a source package has none.
    pub source_rpm: Option<String>,
    /// Whether it is a source package.
    pub is_source: bool,
    /// What it needs.
    pub requires: Vec<Dependency>,
    /// What it provides.
    pub provides: Vec<Dependency>,
    /// How its payload is compressed.
    pub compression: Compression,
    /// Bytes of the payload in the file.
    pub payload_size: u64,
    /// Bytes that it takes when installed, as it says.
    pub installed_size: u64,
}

/// Reads a package that a build made. A build is hostile too, so this checks as much as [`read_source`](crate::read_source) does.
pub fn read_binary(path: &Path, limits: &Limits) -> Result<BinaryReport, ReadError> {
    let failed = |source| ReadError { path: path.to_owned(), source };
    read_binary_from(File::open(path).map_err(failed)?, limits).map_err(failed)
}

/// Like [`read_binary`], from any stream of bytes.
pub fn read_binary_from(input: impl Read, limits: &Limits) -> io::Result<BinaryReport> {
    match envelope::read(input, limits) {
        Ok(envelope) => Ok(report(envelope)),
        Err(Stop::Package(problem)) => Ok(Report::broken(problem)),
        Err(Stop::Disk(error)) => Err(error),
    }
}

fn report(Envelope { header, payload_size, compression }: Envelope) -> BinaryReport {
    let mut findings = Findings::default();
    let compression = findings.take(compression);
    let short = findings.take(header.number(IndexTag::RPMTAG_SIZE)).unwrap_or_default();
    let package = BinaryPackage {
        nevra: facts::nevra(&header, &mut findings),
        summary: findings.take(header.text(IndexTag::RPMTAG_SUMMARY)).unwrap_or_default(),
        source_rpm: findings.take(header.text(IndexTag::RPMTAG_SOURCERPM)),
        is_source: facts::is_source(&header),
        requires: findings.take(facts::requires(&header)),
        provides: findings.take(facts::provides(&header)),
        compression,
        payload_size,
        installed_size: findings.take(header.number(IndexTag::RPMTAG_LONGSIZE)).unwrap_or(short),
    };
    Report { package: Some(package), problems: findings.problems, warnings: findings.warnings }
}
