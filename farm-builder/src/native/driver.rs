//! The driver itself.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use farm_api::record::Usage;
use farm_types::Cause;
use tokio::{sync::mpsc, task::AbortHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Attempt, farm_clock},
    cell::{self, Cell, Locks, SCRATCH, ScratchPlace},
    failure::End,
    files::{beside, helpers_folder},
    helper::Helpers,
    ids::IdMap,
    inventory::Inventories,
    locks::try_lock,
    record::{Chroots, Tools},
    stock::{Room, Stock},
    trees::{self, Trees},
    watch::{Journal, Noted},
};
use crate::{
    driver::{BuildOutcome, BuildReport, BuildRequest, Driver, DriverError, EventSink},
    isolation::Isolation,
};

/// What the native driver needs to know.
#[derive(Debug, Clone)]
pub struct NativeConfig {
    /// The folder for base trees and builds.
    pub data: PathBuf,
    /// A program that calls [`crate::sandbox::main`] first of all.
    pub helper: PathBuf,
    /// How many bytes of base trees and layers are kept for further builds; a quarter of the disk when absent, and 20 GiB at most.
    pub cache_bytes: Option<u64>,
    /// What has to be free on the disk; for that, too, what is kept goes.
    pub room: Room,
}

impl NativeConfig {
    /// With this very program as its own helper.
    pub fn new(data: PathBuf) -> Self {
        Self { data, helper: PathBuf::from("/proc/self/exe"), cache_bytes: None, room: Room::default() }
    }
}

/// Builds in overlays over base trees, with bubblewrap and dnf.
#[derive(Debug)]
pub struct NativeDriver {
    pub(super) helpers: Helpers,
    pub(super) trees: Trees,
    pub(super) locks: Locks,
    pub(super) inventories: Inventories,
    tools: Tools,
    tidying: AbortHandle,
}

impl Drop for NativeDriver {
    fn drop(&mut self) {
        self.tidying.abort();
    }
}

impl NativeDriver {
    /// A driver that works in a folder, which is made if missing. Removes what an earlier life left there.
    pub async fn new(config: NativeConfig) -> anyhow::Result<Self> {
        let ids = IdMap::of_this_user()?;
        for folder in ["trees", "layers", "gone", "work", "repositories"] {
            helpers_folder(&config.data.join(folder), ids.root)?;
        }
        let data = fs_err::canonicalize(&config.data)?;
        let helpers = Helpers { executable: config.helper, ids, data, spare: Arc::default() };
        let stock = Arc::new(Stock::new(helpers.clone(), config.cache_bytes, config.room));
        stock.clean().await?;
        let locks = Locks::find(&helpers).await;
        let tidying = tokio::spawn(Arc::clone(&stock).keep_tidy()).abort_handle();
        let (inventories, tools) = (Inventories::default(), Tools::default());
        let driver = Self { helpers, trees: Trees::new(stock), locks, inventories, tools, tidying };
        driver.clean().await?;
        Ok(driver)
    }

    /// With another place for what builds write.
    #[must_use]
    pub fn with_scratch(mut self, place: ScratchPlace) -> Self {
        self.locks.place = place;
        self
    }

    /// Removes builds and half-made trees of which no living process holds the lock.
    async fn clean(&self) -> anyhow::Result<()> {
        let (events, _) = mpsc::channel(1);
        let mut journal = Journal::new(events, u64::MAX);
        for folder in ["work", "trees"] {
            for entry in fs_err::read_dir(self.helpers.data.join(folder))? {
                let path = entry?.path();
                let leftover = match path.extension().and_then(|extension| extension.to_str()) {
                    Some("lock" | "cgroup") if folder == "work" => path.with_extension(""),
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
                    if let Err(error) = cell::remove_group(&leftover) {
                        tracing::warn!(%error, "a control group that an earlier life left stays behind");
                        continue;
                    }
                    // Another builder on this host may have been quicker.
                    let _ = fs_err::remove_file(beside(&leftover, "lock"));
                }
                tracing::info!(path = %whole.display(), "removed what an earlier life left");
            }
        }
        Ok(())
    }

    /// Builds, and writes down in which chroots and what they used up.
    async fn attempt(
        &self,
        request: &BuildRequest,
        journal: &mut Journal,
        cancel: &CancellationToken,
        measured: &mut Measured,
    ) -> BuildResult {
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
        let cell = Cell::open(&self.helpers, &self.locks, &folder, &request.limits, request.uses_network())
            .await
            .map_err(|error| End::fault(journal, Cause::Chroot, error.to_string()));
        let cell = match cell {
            Ok(cell) => cell,
            Err(end) => {
                self.tidy_up(&absolute, &folder, journal).await;
                // If that fails, the next start finds it.
                let _ = cell::remove_group(&absolute);
                return Err(end);
            }
        };
        measured.isolation = Some(cell.isolation.clone());
        let mut attempt = Attempt {
            helpers: &self.helpers,
            cell: &cell,
            trees: &self.trees,
            request,
            journal,
            cancel,
            folder: folder.clone(),
            tree: PathBuf::new(),
            ends: Instant::now(),
            has_results: false,
            inventories: &self.inventories,
            chroots: Chroots::default(),
            missing: Vec::new(),
        };
        let result = attempt.run().await;
        measured.chroots = std::mem::take(&mut attempt.chroots);
        measured.usage = cell.close().await;
        self.tidy_up(&absolute, &folder, journal).await;
        result
    }

    /// Removes the folder of a build. Where that fails, the build has ended as it has all the same, and the next start cleans.
    async fn tidy_up(&self, absolute: &Path, folder: &Path, journal: &mut Journal) {
        if let Err(End::Fault(error)) = self.remove(absolute, folder, journal).await {
            tracing::warn!(%error, "the folder of a build stays behind until the next start");
        }
    }

    /// Removes the folder of a build.
    async fn remove(&self, absolute: &Path, folder: &Path, journal: &mut Journal) -> Result<(), End> {
        // Also when it was cancelled. Where no chroot is left, all is the daemon's to remove.
        if has_chroots(absolute) || fs_err::remove_dir_all(absolute).is_err() {
            let clock = farm_clock(&CancellationToken::new());
            trees::remove(&self.helpers, folder, journal, &clock).await?;
        }
        let _ = fs_err::remove_file(beside(absolute, "lock"));
        Ok(())
    }
}

/// What is known of a build beside its outcome.
#[derive(Default)]
struct Measured {
    usage: Usage,
    isolation: Option<Isolation>,
    chroots: Chroots,
}

/// Whether something in a build's folder was made by packages, and so is a trap to a daemon that removes it.
fn has_chroots(folder: &Path) -> bool {
    // What lay in memory is gone already.
    let holds_any = |folder: &Path| fs_err::read_dir(folder).map_or(true, |mut entries| entries.next().is_some());
    let is_trap = |entry: &fs_err::DirEntry| match entry.file_name().as_encoded_bytes() {
        name if name == SCRATCH.as_bytes() => holds_any(&entry.path()),
        name => name.starts_with(b"layer-"),
    };
    fs_err::read_dir(folder).map_or(true, |mut entries| entries.any(|entry| entry.as_ref().map_or(true, is_trap)))
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
        let mut measured = Measured::default();
        self.tools.look();
        let outcome = match self.attempt(&request, &mut journal, &cancel, &mut measured).await {
            Ok(packages) => BuildOutcome::Succeeded { packages },
            Err(End::Failed(failure)) => BuildOutcome::Failed(failure),
            Err(End::Cancelled) => BuildOutcome::Cancelled,
            Err(End::Fault(error)) => return Err(error),
        };
        let Noted { stages, marks, usage } = journal.finish();
        let Measured { usage: of_group, isolation, chroots } = measured;
        let record = match outcome {
            // Whoever has told it to end does not wait for what is not wanted.
            BuildOutcome::Cancelled => None,
            _ => chroots.record(&request, isolation.as_ref(), &self.tools).await,
        };
        Ok(BuildReport { outcome, stages, marks, usage: of_group.or(usage), isolation, record })
    }
}
