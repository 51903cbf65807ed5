//! Results on their way to the hub: each file by its digest, then the word that the attempt has ended.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use farm_api::{
    client::ClientError,
    error::ErrorCode,
    hub::{Finish, Lease, LeasePackage, LeaseSource, NewArtifact, StageTime},
    record::{BuildRecord, EarlierPackage, FILE_NAME, SourceFile, Usage},
};
use farm_daemon::CancellationToken;
use farm_types::{ArtifactKind, Cause, Digest, FileName, LeaseKey, Outcome, Stage};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::hub::{Hub, Setback, insist};
use crate::driver::{BuildOutcome, BuildReport, BuiltFile, DriverError};

/// What the log is called among the artifacts.
const LOG_NAME: &str = "build.log.gz";

/// An attempt that has ended, with its files.
#[derive(Debug)]
pub struct Delivery {
    pub finish: Finish,
    pub files: Vec<BuiltFile>,
    pub record: Option<BuildRecord>,
}

impl Delivery {
    /// Of a build that came to its end; `None` if it was told to end.
    pub fn of(report: Result<BuildReport, DriverError>) -> Option<Self> {
        let report = match report {
            Ok(report) => report,
            Err(error) => return Some(Self::fault(error.cause, error.stage, error.message)),
        };
        let stages = report.stages.iter().map(|(stage, time)| StageTime {
            stage: *stage,
            milliseconds: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        });
        let (stages, marks, usage, record) = (stages.collect(), report.marks, report.usage, report.record);
        let record = record.map(|record| BuildRecord { stages: Vec::clone(&stages), usage, ..record });
        Some(match report.outcome {
            BuildOutcome::Cancelled => return None,
            BuildOutcome::Succeeded { packages } => {
                let finish = Finish { stages, marks, usage, ..finish(Outcome::Succeeded) };
                Self { finish, files: packages, record }
            }
            BuildOutcome::Failed(failure) => {
                let finish = Finish {
                    cause: Some(failure.cause),
                    stage: Some(failure.stage),
                    message: failure.message,
                    excerpt: failure.excerpt,
                    stages,
                    marks,
                    usage,
                    ..finish(Outcome::Failed)
                };
                Self { finish, files: Vec::new(), record }
            }
        })
    }

    /// Of a farm that failed.
    pub fn fault(cause: Cause, stage: Stage, message: String) -> Self {
        let finish = Finish { cause: Some(cause), stage: Some(stage), message, ..finish(Outcome::FarmFault) };
        Self { finish, files: Vec::new(), record: None }
    }

    /// Writes the record down in a folder, to be brought with the results.
    pub async fn keep_record(&mut self, folder: &Path, lease: &Lease) {
        let Some(record) = self.record.take() else { return };
        let task = lease.key.task;
        let source = |source: &LeaseSource| SourceFile { position: source.position, digest: source.digest };
        let package = |package: &LeasePackage| EarlierPackage {
            name: package.name.clone(),
            digest: package.digest,
            job: package.job,
        };
        let before = lease.predecessors.iter().flat_map(|before| &before.packages);
        let record = BuildRecord {
            sources: lease.sources.iter().map(source).collect(),
            predecessors: before.map(package).collect(),
            ..record
        };
        match write_record(folder.join(FILE_NAME), &record).await {
            Ok(file) => self.files.push(file),
            // The results are worth more.
            Err(error) => tracing::error!(task.id = %task, %error, "the record of an attempt cannot be written"),
        }
    }

    /// Brings everything to the hub. Answers how the attempt ended there.
    pub async fn bring(
        mut self,
        hub: &Hub,
        key: &LeaseKey,
        log: &Path,
        stop: &CancellationToken,
    ) -> Result<Outcome, Setback> {
        match pack_log(log.to_owned()).await {
            Ok(log) => self.files.push(log),
            Err(error) => {
                tracing::error!(task.id = %key.task, %error, "the log cannot be packed; its pieces are at the hub")
            }
        }
        for file in &self.files {
            let artifact =
                NewArtifact { kind: file.kind, name: file.name.clone(), digest: file.digest, size: file.size };
            match insist("bringing a result", stop, || hub.artifact(key, &artifact, &file.path)).await {
                Ok(()) => self.finish.artifacts.push(artifact),
                Err(Setback::Refused(error)) => self.finish = not_delivered(self.finish, &artifact, &error),
                Err(other) => return Err(other),
            }
        }
        let finish = &self.finish;
        insist("ending the attempt", stop, || hub.finish(key, finish)).await?;
        Ok(finish.outcome)
    }
}

fn finish(outcome: Outcome) -> Finish {
    Finish {
        outcome,
        cause: None,
        stage: None,
        message: String::new(),
        excerpt: Vec::new(),
        stages: Vec::new(),
        marks: Vec::new(),
        usage: Usage::default(),
        artifacts: Vec::new(),
    }
}

/// What becomes of an attempt of which a file cannot be delivered. (What failed before has a better reason already.)
fn not_delivered(finish: Finish, artifact: &NewArtifact, error: &ClientError) -> Finish {
    tracing::error!(artifact = %artifact.name, %error, "the hub does not take a result");
    if finish.outcome != Outcome::Succeeded || matches!(artifact.kind, ArtifactKind::Log | ArtifactKind::Manifest) {
        return finish;
    }
    let too_large = error.code() == Some(ErrorCode::TooLarge);
    let (outcome, cause) =
        if too_large { (Outcome::Failed, Cause::OutputTooLarge) } else { (Outcome::FarmFault, Cause::Upload) };
    let message = format!("the result {} could not be delivered: {error}", artifact.name.as_str().escape_debug());
    Finish { outcome, cause: Some(cause), stage: Some(Stage::Upload), message, artifacts: Vec::new(), ..finish }
}

async fn write_record(path: PathBuf, record: &BuildRecord) -> io::Result<BuiltFile> {
    let bytes = serde_json::to_vec(record)?;
    fs_err::tokio::write(&path, &bytes).await?;
    let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
    let name: FileName = FILE_NAME.parse().map_err(io::Error::other)?;
    Ok(BuiltFile { path, name, kind: ArtifactKind::Manifest, size: bytes.len() as u64, digest })
}

/// The whole log, packed.
async fn pack_log(log: PathBuf) -> io::Result<BuiltFile> {
    let pack = move || {
        let path = log.with_extension("gz");
        let mut packed =
            GzEncoder::new(Digested::new(fs_err::File::create(&path)?.into_file()), Compression::default());
        io::copy(&mut fs_err::File::open(&log)?, &mut packed)?;
        let (size, digest) = packed.finish()?.end();
        let name: FileName = LOG_NAME.parse().map_err(io::Error::other)?;
        Ok(BuiltFile { path, name, kind: ArtifactKind::Log, size, digest })
    };
    tokio::task::spawn_blocking(pack).await.map_err(io::Error::other)?
}

/// A file that knows the digest of what was written to it.
struct Digested {
    file: File,
    size: u64,
    digest: Sha256,
}

impl Digested {
    fn new(file: File) -> Self {
        Self { file, size: 0, digest: Sha256::new() }
    }

    fn end(self) -> (u64, Digest) {
        (self.size, Digest::from_bytes(self.digest.finalize().into()))
    }
}

impl Write for Digested {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or(bytes));
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
