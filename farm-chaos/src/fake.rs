//! A driver that builds nothing and takes its time over it: the daemon around it is the real one.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use farm_builder::{
    BuildEvent, BuildOutcome, BuildReport, BuildRequest, BuiltFile, Config, Driver, DriverError, EventSink, Failure,
};
use farm_daemon::CancellationToken;
use farm_types::{ArtifactKind, AttemptNumber, Cause, Digest, Stage, TaskId};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use crate::plan::{Plan, log_line, stamp};

/// How long a build takes, in seconds.
const TIME: std::ops::Range<f64> = 1.5..3.5;
/// In how many steps it says what it has to say.
const STEPS: u64 = 20;
/// How large a large package is.
const LARGE: usize = 600_000;
/// What a builder says that spoils a build on purpose.
pub const SPOILT: &str = "spoilt on purpose";
/// What a package says that does not build.
const FAILS: &str = "it does not build, and never will";

/// The daemon with this driver.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    farm_builder::run_with(FakeDriver, config, shutdown).await
}

/// How long that attempt takes by itself, whatever holds it up.
pub fn time_of(task: TaskId, attempt: AttemptNumber) -> Duration {
    let mut seed = DefaultHasher::new();
    (task.0, attempt.0).hash(&mut seed);
    Duration::from_secs_f64(StdRng::seed_from_u64(seed.finish()).random_range(TIME))
}

/// Does what the [`Plan`] of a package says.
#[derive(Debug)]
pub struct FakeDriver;

impl Driver for FakeDriver {
    async fn build(
        &self,
        request: BuildRequest,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<BuildReport, DriverError> {
        let began = Instant::now();
        let build = Build::of(&request).map_err(fault)?;
        let outcome = match cancel.run_until_cancelled(build.go(&request.results, &events)).await {
            None => BuildOutcome::Cancelled,
            Some(outcome) => outcome?,
        };
        Ok(BuildReport {
            outcome,
            stages: vec![(Stage::Build, began.elapsed())],
            marks: Vec::new(),
            usage: Default::default(),
            isolation: None,
            record: None,
        })
    }
}

fn fault(error: impl std::fmt::Display) -> DriverError {
    DriverError { cause: Cause::Internal, stage: Stage::Build, message: error.to_string() }
}

/// One build.
struct Build {
    name: String,
    plan: Plan,
    task: TaskId,
    attempt: AttemptNumber,
    time: Duration,
}

impl Build {
    fn of(request: &BuildRequest) -> anyhow::Result<Self> {
        // BUILDER-TASK-ATTEMPT
        let mut parts = request.id.as_str().rsplit('-');
        let mut number = || parts.next().and_then(|part| part.parse::<i64>().ok());
        let (Some(attempt), Some(task)) = (number(), number()) else {
            anyhow::bail!("the build {} has no numbers", request.id)
        };
        let source = request.sources.first().ok_or_else(|| anyhow::anyhow!("there is no source"))?;
        let package = farm_rpm::read_source(source, &farm_rpm::Limits::default())?.package;
        let name = package.map(|package| package.nevra.name).unwrap_or_default();
        let plan = Plan::of(&name).ok_or_else(|| anyhow::anyhow!("nobody knows what {name} is to do"))?;
        let (task, attempt) = (TaskId(task), AttemptNumber(i32::try_from(attempt)?));
        Ok(Self { name, plan, task, attempt, time: time_of(task, attempt) })
    }

    async fn go(&self, results: &Path, events: &EventSink) -> Result<BuildOutcome, DriverError> {
        let _ = events.send(BuildEvent::StageBegan(Stage::Build)).await;
        let lines = self.plan.lines();
        for step in 0..STEPS {
            let (from, to) = (lines * step / STEPS, lines * (step + 1) / STEPS);
            let text: String = (from..to).map(|number| log_line(self.task, self.attempt, number)).collect();
            let _ = events.send(BuildEvent::Log(Bytes::from(text))).await;
            sleep(self.time / STEPS as u32).await;
        }
        match self.plan {
            plan if plan.is_spoilt(self.attempt) => Err(fault(SPOILT)),
            Plan::Hangs => std::future::pending().await,
            Plan::Fails => Ok(BuildOutcome::Failed(Failure {
                cause: Cause::Build,
                stage: Stage::Build,
                message: FAILS.to_owned(),
                excerpt: Vec::new(),
            })),
            _ => {
                self.package(results).map(|package| BuildOutcome::Succeeded { packages: vec![package] }).map_err(fault)
            }
        }
    }

    /// A real package, which says who made it.
    fn package(&self, results: &Path) -> anyhow::Result<BuiltFile> {
        let stamp = stamp(self.task, self.attempt);
        let content = match self.plan {
            Plan::Large => stamp.repeat(LARGE / stamp.len()),
            _ => stamp.clone(),
        };
        let mut bytes = Vec::new();
        rpm::PackageBuilder::new(&self.name, "1", "GPL-2.0-or-later", "noarch", &stamp)
            .using_config(rpm::BuildConfig::v4().compression(rpm::CompressionType::None))
            .with_file_contents(content, rpm::FileOptions::new(format!("/usr/share/{}/stamp", self.name)))?
            .build()?
            .write(&mut bytes)?;
        let name = format!("{}-1-1.noarch.rpm", self.name);
        let path = results.join(&name);
        fs_err::write(&path, &bytes)?;
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        Ok(BuiltFile { path, name: name.parse()?, kind: ArtifactKind::Rpm, size: bytes.len() as u64, digest })
    }
}
