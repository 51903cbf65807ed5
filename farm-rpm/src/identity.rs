//! What tells a package from another one of its name.

use std::{fs::File, path::Path};

use rpm::IndexTag;
use sha2::{Digest as _, Sha256};

use crate::{
    Limits, Nevra, ReadError, envelope,
    facts::{self, Findings},
    header::Stop,
};

/// What tells a package from another one of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name and so on.
    pub nevra: Nevra,
    /// SHA-256 of its header.
    pub digest: [u8; 32],
    /// When it was built, in seconds since 1970, as it says.
    pub built: Option<u64>,
    /// Bytes that it takes when installed, as it says.
    pub installed_size: u64,
}

/// Reads a package that somebody else has checked, no further than to the end of its header; `None` if it is none.
pub fn read_identity(path: &Path, limits: &Limits) -> Result<Option<Identity>, ReadError> {
    let failed = |source| ReadError { path: path.to_owned(), source };
    let header = match envelope::read_header(File::open(path).map_err(failed)?, limits) {
        Ok(header) => header,
        Err(Stop::Package(_)) => return Ok(None),
        Err(Stop::Disk(error)) => return Err(failed(error)),
    };
    let mut findings = Findings::default();
    let short = findings.take(header.number(IndexTag::RPMTAG_SIZE)).unwrap_or_default();
    let identity = Identity {
        nevra: facts::nevra(&header, &mut findings),
        digest: Sha256::digest(header.bytes()).into(),
        built: findings.take(header.number(IndexTag::RPMTAG_BUILDTIME)),
        installed_size: findings.take(header.number(IndexTag::RPMTAG_LONGSIZE)).unwrap_or(short),
    };
    Ok(findings.problems.is_empty().then_some(identity))
}
