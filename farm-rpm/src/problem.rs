//! What can be wrong with a package, in words for the person who handed it in.

use std::fmt;

use crate::{
    LooksLike,
    digest::Algorithm,
    names::{Quoted, QuotedList},
};

/// A part of a package file, in file order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first 96 bytes.
    Lead,
    /// Digests and signatures.
    Signature,
    /// What the package says of itself.
    Header,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lead => "lead",
            Self::Signature => "signature header",
            Self::Header => "header",
        })
    }
}

/// A reason to refuse a package. Strings in it come from the package and are shown quoted and escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// 0 bytes.
    #[error("the file is empty (0 bytes); make it again or fetch it again")]
    Empty,
    /// Not a package at all.
    #[error("this is not an RPM package: it looks like {looks_like}; submit the .src.rpm that `rpmbuild -bs` writes")]
    NotRpm {
        /// A guess at what it is.
        looks_like: LooksLike,
    },
    /// The file ends before its payload begins.
    #[error("the package is cut off in its {part}; fetch or copy the file again")]
    Truncated {
        /// Where it ends.
        part: Part,
    },
    /// A part that cannot be read.
    #[error(
        "the {part} of the package is corrupt: {detail}; fetch the file again, or build the package again if that is how it was made"
    )]
    Corrupt {
        /// The part.
        part: Part,
        /// What does not fit.
        detail: String,
    },
    /// The header is not the one that was packed.
    #[error("the header does not match its {algorithm} digest: it was changed or damaged; fetch the file again")]
    HeaderDigestMismatch {
        /// The digest.
        algorithm: Algorithm,
    },
    /// The payload is not the one that was packed.
    #[error("the payload does not match its {algorithm} digest: it was changed or damaged; fetch the file again")]
    PayloadDigestMismatch {
        /// The digest.
        algorithm: Algorithm,
    },
    /// The payload ends early.
    #[error("the payload is cut off: {missing} bytes are missing at the end; fetch or copy the file again")]
    PayloadTruncated {
        /// Bytes that are missing.
        missing: u64,
    },
    /// Something follows the payload.
    #[error("there are {extra} bytes too many after the end of the package; fetch the file again")]
    TrailingBytes {
        /// Bytes too many.
        extra: u64,
    },
    /// Nothing shows that the file is whole.
    #[error(
        "the package has no digest over its {0}, so nothing shows that it is whole; build it again with rpm 4 or later"
    )]
    NoDigest(&'static str),
    /// The payload is packed in a way that is not known.
    #[error("the payload cannot be unpacked: {detail}; build the package again with gzip, bzip2, xz, lzma or zstd")]
    UnsupportedPayload {
        /// What was met.
        detail: String,
    },
    /// A binary package where a source package is expected.
    #[error(
        "{} is a binary package for {}; submit the source package{}",
        Quoted(name),
        Quoted(arch),
        source_hint(source_rpm)
    )]
    BinaryPackage {
        /// Name of the package.
        name: String,
        /// Its architecture.
        arch: String,
        /// File name of its source package.
        source_rpm: String,
    },
    /// No spec.
    #[error("the package has no spec{}; build it again with `rpmbuild -bs NAME.spec`", marked_hint(marked))]
    NoSpec {
        /// A file that is marked as the spec, but not called so.
        marked: Option<String>,
    },
    /// More than one spec.
    #[error("the package has {} specs: {}; leave one, so that it is certain which is built", names.len(), QuotedList(names))]
    SeveralSpecs {
        /// Their names.
        names: Vec<String>,
    },
    /// A package without its sources or patches (`NoSource`, `NoPatch`).
    #[error(
        "sources are left out of the package (NoSource or NoPatch){}; build it again with all of them",
        missing_hint(names)
    )]
    SourcesMissing {
        /// Names of the files left out, as far as the package tells.
        names: Vec<String>,
    },
    /// A name, version, release or architecture that cannot be one.
    #[error("the {field} {} cannot be used: {fault}; change it in the spec", Quoted(value))]
    BadName {
        /// Which of them.
        field: &'static str,
        /// What it is.
        value: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A file that cannot be called so.
    #[error("the file name {} in the package cannot be used: {fault}; rename the file", Quoted(name))]
    BadFileName {
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A build requirement that cannot be asked of a repository.
    #[error("the build requirement {} cannot be used: {fault}; change it in the spec", Quoted(value))]
    BadRequirement {
        /// The requirement.
        value: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The file is too large.
    #[error("the package is larger than the limit of {limit} bytes; ask the farm's operator to raise it")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The files are too large.
    #[error(
        "the files of the package have {size} bytes, more than the limit of {limit}; ask the farm's operator to raise it"
    )]
    TooLargeUnpacked {
        /// Bytes of the files together.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many files.
    #[error("the package has {count} files, more than the limit of {limit}; ask the farm's operator to raise it")]
    TooManyFiles {
        /// Number of files.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The spec is too large.
    #[error(
        "the spec {} has {size} bytes, more than the limit of {limit}; ask the farm's operator to raise it",
        Quoted(name)
    )]
    SpecTooLarge {
        /// Name of the spec.
        name: String,
        /// Its bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
}

fn source_hint(source_rpm: &str) -> String {
    if source_rpm.is_empty() { String::new() } else { format!(" instead, {}", Quoted(source_rpm)) }
}

fn marked_hint(marked: &Option<String>) -> String {
    marked
        .as_deref()
        .map_or_else(String::new, |name| format!(": {} is marked as it, but no name ends in .spec", Quoted(name)))
}

fn missing_hint(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(": {}", QuotedList(names)) }
}

impl Problem {
    /// A word for programs, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotRpm { .. } => "not_rpm",
            Self::Truncated { .. } => "truncated",
            Self::Corrupt { part: Part::Lead, .. } => "corrupt_lead",
            Self::Corrupt { part: Part::Signature, .. } => "corrupt_signature",
            Self::Corrupt { part: Part::Header, .. } => "corrupt_header",
            Self::HeaderDigestMismatch { .. } => "header_digest_mismatch",
            Self::PayloadDigestMismatch { .. } => "payload_digest_mismatch",
            Self::PayloadTruncated { .. } => "payload_truncated",
            Self::TrailingBytes { .. } => "trailing_bytes",
            Self::NoDigest(_) => "no_digest",
            Self::UnsupportedPayload { .. } => "unsupported_payload",
            Self::BinaryPackage { .. } => "binary_package",
            Self::NoSpec { .. } => "no_spec",
            Self::SeveralSpecs { .. } => "several_specs",
            Self::SourcesMissing { .. } => "sources_missing",
            Self::BadName { .. } => "bad_name",
            Self::BadFileName { .. } => "bad_file_name",
            Self::BadRequirement { .. } => "bad_requirement",
            Self::TooLarge { .. } => "too_large",
            Self::TooLargeUnpacked { .. } => "too_large_unpacked",
            Self::TooManyFiles { .. } => "too_many_files",
            Self::SpecTooLarge { .. } => "spec_too_large",
        }
    }

    pub(crate) fn corrupt(part: Part, detail: impl Into<String>) -> Self {
        Self::Corrupt { part, detail: detail.into() }
    }
}

/// What the maker of a package should know, although the package is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// Text in the header that is not UTF-8.
    #[error("the {field} is not UTF-8 and is read as Latin-1; save the spec as UTF-8")]
    NotUtf8 {
        /// Which text.
        field: &'static str,
    },
    /// The spec is called otherwise than the package.
    #[error("the spec {} is not named after the package {}", Quoted(spec), Quoted(package))]
    SpecNameDiffers {
        /// Name of the spec.
        spec: String,
        /// Name of the package.
        package: String,
    },
}

impl Warning {
    /// A word for programs, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 { .. } => "not_utf8",
            Self::SpecNameDiffers { .. } => "spec_name_differs",
        }
    }
}
