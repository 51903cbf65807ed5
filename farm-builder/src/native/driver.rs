//! The driver itself.

use std::{
    io,
    path::{Path, PathBuf},
};

use farm_types::Cause;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Attempt, farm_clock},
    failure::End,
    files::{beside, helpers_folder, try_lock},
    helper::Helpers,
    ids::IdMap,
    trees::{self, Trees},
    watch::Journal,
};
use crate::driver::{BuildOutcome, BuildReport, BuildRequest, Driver, DriverError, EventSink};

/// What the native driver needs to know.
#[derive(Debug, Clone)]
pub struct NativeConfig {
    /// The folder for base trees and builds.
    pub data: PathBuf,
    /// A program that calls [`crate::sandbox::main`] first of all.
    pub helper: PathBuf,
}

impl NativeConfig {
    /// With this very program as its own helper.
    pub fn new(data: PathBuf) -> Self {
        Self { data, helper: PathBuf::from("/proc/self/exe") }
    }
}

/// Builds in overlays over base trees, with bubblewrap and dnf.
#[derive(Debug)]
pub struct NativeDriver {
    helpers: Helpers,
    trees: Trees,
}

impl NativeDriver {
    /// A driver that works in a folder, which is made if missing. Removes what an earlier life left there.
    pub async fn new(config: NativeConfig) -> anyhow::Result<Self> {
        let ids = IdMap::of_this_user()?;
        for folder in ["trees", "work", "repositories"] {
            helpers_folder(&config.data.join(folder), ids.root)?;
        }
        let data = fs_err::canonicalize(&config.data)?;
        let driver = Self { helpers: Helpers { executable: config.helper, ids, data }, trees: Trees::default() };
        driver.clean().await?;
        Ok(driver)
    }

    /// Removes builds and half-made trees of which no living process holds the lock.
    async fn clean(&self) -> anyhow::Result<()> {
        let (events, _) = mpsc::channel(1);
        let mut journal = Journal::new(events, u64::MAX);
        for folder in ["work", "trees"] {
            for entry in fs_err::read_dir(self.helpers.data.join(folder))? {
                let path = entry?.path();
                let leftover = match path.extension().and_then(|extension| extension.to_str()) {
                    Some("lock") if folder == "work" => path.with_extension(""),
                    Some("making") => path.with_extension(""),
                    _ => continue,
                };
                let Some(_lock) = try_lock(&beside(&leftover, "lock"))? else { continue };
                let whole = if folder == "work" { leftover.clone() } else { beside(&leftover, "making") };
                let relative = whole.strip_prefix(&self.helpers.data)?;
                let clock = farm_clock(&CancellationToken::new());
                if let Err(End::Fault(error)) = trees::remove(&self.helpers, relative, &mut journal, &clock).await {
                    tracing::warn!(%error, "something that an earlier life left stays behind");
                    continue;
                }
                if folder == "work" {
                    // Another builder on this host may have been quicker.
                    let _ = fs_err::remove_file(beside(&leftover, "lock"));
                }
                tracing::info!(path = %whole.display(), "removed what an earlier life left");
            }
        }
        Ok(())
    }

    async fn attempt(&self, request: &BuildRequest, journal: &mut Journal, cancel: &CancellationToken) -> BuildResult {
        let folder = Path::new("work").join(request.id.as_str());
        let absolute = self.helpers.data.join(&folder);
        let ready = || {
            let lock =
                try_lock(&beside(&absolute, "lock"))?.ok_or_else(|| io::Error::other("another process has it"))?;
            helpers_folder(&absolute, self.helpers.ids.root)?;
            Ok::<_, io::Error>(lock)
        };
        let _lock = ready().map_err(|error| {
            End::fault(
                journal,
                Cause::Internal,
                format!("cannot make the build's folder {}: {error}", absolute.display()),
            )
        })?;
        let mut attempt = Attempt {
            helpers: &self.helpers,
            trees: &self.trees,
            request,
            journal,
            cancel,
            folder: folder.clone(),
            tree: PathBuf::new(),
            ends: Instant::now(),
            has_results: false,
            missing: Vec::new(),
        };
        let result = attempt.run().await;
        // Also when it was cancelled.
        let clock = farm_clock(&CancellationToken::new());
        trees::remove(&self.helpers, &folder, journal, &clock).await?;
        let _ = fs_err::remove_file(beside(&absolute, "lock"));
        result
    }
}

type BuildResult = Result<Vec<crate::driver::BuiltFile>, End>;

impl Driver for NativeDriver {
    async fn build(
        &self,
        request: BuildRequest,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<BuildReport, DriverError> {
        let mut journal = Journal::new(events, request.limits.log_bytes);
        let outcome = match self.attempt(&request, &mut journal, &cancel).await {
            Ok(packages) => BuildOutcome::Succeeded { packages },
            Err(End::Failed(failure)) => BuildOutcome::Failed(failure),
            Err(End::Cancelled) => BuildOutcome::Cancelled,
            Err(End::Fault(error)) => return Err(error),
        };
        Ok(BuildReport { outcome, stages: journal.finish() })
    }
}
