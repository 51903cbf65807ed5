//! Whether chroots can be made here, and how fast.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use farm_rpm::Dependency;
use farm_types::Cause;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Attempt, farm_clock},
    cell::{Cell, SCRATCH},
    driver::NativeDriver,
    failure::End,
    files::helpers_folder,
    layers::{Granted, Layer},
    locks::Use,
    record::Chroots,
    trees,
    watch::Journal,
};
use crate::{
    driver::{BuildRequest, DriverError},
    sandbox::{Answer, Chroot, Order, Script},
};

impl NativeDriver {
    /// Makes a chroot as for a build that needs `needs`, starts a program in it, and undoes everything; answers how long that took from
    /// the moment the base tree and the layer were there.
    pub async fn probe(&self, request: &BuildRequest, needs: &[Dependency]) -> Result<Duration, DriverError> {
        let (events, _) = mpsc::channel(1);
        let mut journal = Journal::new(events, request.limits.log_bytes);
        let folder = Path::new("work").join(request.id.as_str());
        helpers_folder(&self.helpers.data.join(&folder).join("in"), self.helpers.ids.root)
            .and_then(|()| helpers_folder(&self.helpers.data.join(&folder), self.helpers.ids.root))
            .map_err(|error| failed(&journal, error.to_string()))?;
        let took = self.time_chroot(request, &folder, &mut journal, needs).await;
        let clock = farm_clock(&CancellationToken::new());
        let removed = trees::remove(&self.helpers, &folder, &mut journal, &clock).await;
        match removed.and(took) {
            Ok(took) => Ok(took),
            Err(End::Fault(error)) => Err(error),
            Err(other) => Err(failed(&journal, format!("{other:?}"))),
        }
    }

    async fn time_chroot(
        &self,
        request: &BuildRequest,
        folder: &Path,
        journal: &mut Journal,
        needs: &[Dependency],
    ) -> Result<Duration, End> {
        let never = CancellationToken::new();
        let cell = self.cell(request, folder, journal).await?;
        let stock = self.attempt_in(&cell, request, folder, journal, &never).stock_up(needs).await;
        cell.close().await;
        let (tree, layer, _used) = stock?;
        let began = Instant::now();
        let cell = self.cell(request, folder, journal).await?;
        let ran = self.attempt_in(&cell, request, folder, journal, &never).enter(tree, layer.path.clone()).await;
        cell.close().await;
        ran.map(|()| began.elapsed())
    }

    fn attempt_in<'a>(
        &'a self,
        cell: &'a Cell<'a>,
        request: &'a BuildRequest,
        folder: &Path,
        journal: &'a mut Journal,
        cancel: &'a CancellationToken,
    ) -> Attempt<'a> {
        Attempt {
            helpers: &self.helpers,
            cell,
            trees: &self.trees,
            request,
            journal,
            cancel,
            folder: folder.to_owned(),
            tree: PathBuf::new(),
            ends: Instant::now() + request.limits.timeout,
            has_results: false,
            inventories: &self.inventories,
            chroots: Chroots::default(),
            missing: Vec::new(),
        }
    }

    async fn cell<'a>(&'a self, request: &'a BuildRequest, folder: &Path, journal: &Journal) -> Result<Cell<'a>, End> {
        let cell = Cell::open(&self.helpers, &self.locks, folder, &request.limits, request.uses_network()).await;
        cell.map_err(|error| End::fault(journal, Cause::Chroot, error.to_string()))
    }
}

impl Attempt<'_> {
    /// What a chroot for `needs` lies over.
    async fn stock_up(&mut self, needs: &[Dependency]) -> Result<(PathBuf, Layer, Use), End> {
        let clock = farm_clock(self.cancel);
        let (tree, used) = self.trees.ready(self.helpers, &self.request.platform, self.journal, &clock).await?;
        self.tree.clone_from(&tree);
        match self.layer("probe", needs).await? {
            Granted::Layer(layer) => Ok((tree, layer, used)),
            Granted::Refused => Err(self.fault(Cause::Dependencies, "what is needed cannot be had")),
        }
    }

    /// Starts a program in a new chroot, which is gone afterwards.
    async fn enter(&mut self, tree: PathBuf, layer: Option<PathBuf>) -> Result<(), End> {
        let chroot = Chroot { tree, layer, changes: self.folder.join(SCRATCH).join("chroot-probe") };
        let run = Order::Run {
            chroot: chroot.clone(),
            script: Script::Probe,
            source: None,
            network: false,
            arguments: Vec::new(),
            narrow: false,
        };
        let ran = self.run_script(run, Script::Probe, vec![Order::Remove { path: chroot.changes }]).await?;
        if (ran.code, ran.rest.as_slice()) != (0, &[Answer::Done]) {
            let why = format!("a shell in a chroot ended with {}, and its removal with {:?}", ran.code, ran.rest);
            return Err(self.fault(Cause::Chroot, why));
        }
        Ok(())
    }
}

fn failed(journal: &Journal, message: String) -> DriverError {
    DriverError { cause: Cause::Chroot, stage: journal.current(), message }
}
