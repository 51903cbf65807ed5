//! How a build comes to an end before its packages are there.

use farm_types::{Cause, Size, Stage};

use super::{
    excerpt::{Section, Seen},
    watch::{Journal, Stop},
};
use crate::driver::{BuildLimits, DriverError, Failure};

/// Why a build cannot go on.
#[derive(Debug)]
pub enum End {
    /// The farm's fault.
    Fault(DriverError),
    /// The package's fault.
    Failed(Failure),
    /// It was told to end.
    Cancelled,
}

impl End {
    /// The farm's fault, in the stage that the build is in.
    pub fn fault(journal: &Journal, cause: Cause, message: impl Into<String>) -> Self {
        Self::Fault(DriverError { cause, stage: journal.current(), message: message.into() })
    }

    /// The package's fault, in the stage that the build is in, with the lines that say why.
    pub fn failed(journal: &Journal, cause: Cause, message: impl Into<String>) -> Self {
        Self::failed_in(journal, cause, journal.current(), message)
    }

    /// The package's fault.
    pub fn failed_in(journal: &Journal, cause: Cause, stage: Stage, message: impl Into<String>) -> Self {
        Self::Failed(Failure { cause, stage, message: message.into(), excerpt: journal.seen().excerpt() })
    }

    /// A step of the package's own was stopped.
    pub fn stopped(journal: &Journal, stop: Stop, limits: &BuildLimits) -> Self {
        let (cause, message) = match stop {
            Stop::Cancelled => return Self::Cancelled,
            Stop::Timeout => {
                (Cause::Timeout, format!("the build took longer than {}", seconds(limits.timeout.as_secs())))
            }
            Stop::Silent => {
                (Cause::Silent, format!("the build printed nothing for {}", seconds(limits.silence_timeout.as_secs())))
            }
            Stop::LogTooLarge => {
                (Cause::OutputTooLarge, format!("the log grew beyond the limit of {} bytes", limits.log_bytes))
            }
            Stop::AnswerTooLong => {
                let message = "the build made more files, or installed more packages, than can be listed";
                (Cause::OutputTooLarge, message.to_owned())
            }
            Stop::OutOfMemory => {
                (Cause::OutOfMemory, format!("the build needed more memory than {}", Size(limits.memory_bytes)))
            }
            Stop::DiskFull => {
                (Cause::DiskFull, format!("the build wrote more than {} into its chroot", Size(limits.disk_bytes)))
            }
            Stop::TooManyFiles => {
                (Cause::DiskFull, format!("the build made more than {} files in its chroot", limits.files))
            }
            Stop::Uncountable => (Cause::DiskFull, "what the build wrote into its chroot cannot be counted".to_owned()),
            Stop::Unwatched => {
                let why = "the process that counts what the build writes is gone: look at the host's own log";
                return Self::fault(journal, Cause::Internal, why);
            }
            Stop::HostDiskFull => {
                let why = "the builder's own disk is nearly full: make room in its data folder";
                return Self::fault(journal, Cause::DiskFull, why);
            }
        };
        Self::failed(journal, cause, message)
    }

    /// rpmbuild ended with this status.
    pub fn of_rpmbuild(journal: &Journal, status: i32) -> Self {
        let (cause, stage, message) = cause_of(journal.seen(), status);
        Self::failed_in(journal, cause, stage, message)
    }
}

/// rpmbuild's status for BuildRequires that are not there.
pub const MISSING_REQUIRES: i32 = 11;

fn cause_of(seen: &Seen, status: i32) -> (Cause, Stage, String) {
    let of = |section: Section| match section {
        Section::Prep => (Cause::Prep, Stage::Prep, "%prep failed"),
        Section::Requires => (Cause::Dependencies, Stage::Dependencies, "%generate_buildrequires failed"),
        Section::Build => (Cause::Build, Stage::Build, "%build failed"),
        Section::Install | Section::Clean => (Cause::Install, Stage::Install, "%install failed"),
        Section::Check => (Cause::Check, Stage::Check, "%check failed"),
    };
    let (cause, stage, message) = match (seen.failed, seen.began) {
        (Some(section), _) => of(section),
        _ if status == MISSING_REQUIRES => {
            (Cause::Dependencies, Stage::Dependencies, "rpmbuild finds some BuildRequires not installed")
        }
        _ if seen.packaging => (Cause::Install, Stage::Install, "the files could not be packaged"),
        (None, Some(section)) => of(section),
        (None, None) => (Cause::SourceInvalid, Stage::Source, "rpmbuild refuses the spec"),
    };
    let message = match seen.first_telling() {
        _ if status > 128 => format!("{message}: rpmbuild was killed by signal {}", status - 128),
        Some(line) => format!("{message}: {line}"),
        None => message.to_owned(),
    };
    (cause, stage, message)
}

fn seconds(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3600),
    }
}
