//! Whether chroots can be made here, and how fast.

use std::{path::Path, time::Duration};

use farm_rpm::Dependency;
use farm_types::Cause;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Attempt, farm_clock},
    driver::NativeDriver,
    failure::End,
    files::helpers_folder,
    layers::Granted,
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
        let mut attempt = Attempt {
            helpers: &self.helpers,
            trees: &self.trees,
            request,
            journal: &mut journal,
            cancel: &CancellationToken::new(),
            folder: folder.clone(),
            tree: Default::default(),
            ends: Instant::now() + request.limits.timeout,
            has_results: false,
        };
        let took = attempt.enter(needs).await;
        let clock = farm_clock(&CancellationToken::new());
        let removed = trees::remove(&self.helpers, &folder, &mut journal, &clock).await;
        match removed.and(took) {
            Ok(took) => Ok(took),
            Err(End::Fault(error)) => Err(error),
            Err(other) => Err(failed(&journal, format!("{other:?}"))),
        }
    }
}

impl Attempt<'_> {
    async fn enter(&mut self, needs: &[Dependency]) -> Result<Duration, End> {
        let clock = farm_clock(self.cancel);
        let (tree, _used) = self.trees.ready(self.helpers, &self.request.platform, self.journal, &clock).await?;
        self.tree = tree;
        let layer = match self.layer("probe", needs).await? {
            Granted::Layer(layer) => layer,
            Granted::Refused => return Err(self.fault(Cause::Dependencies, "what is needed cannot be had")),
        };
        let began = Instant::now();
        let chroot =
            Chroot { tree: self.tree.clone(), layer: layer.path.clone(), changes: self.folder.join("chroot-probe") };
        let run = Order::Run { chroot: chroot.clone(), script: Script::Probe, source: None, network: false };
        let ran = self.run_script(run, Script::Probe, vec![Order::Remove { path: chroot.changes }]).await?;
        if (ran.code, ran.rest.as_slice()) != (0, &[Answer::Done]) {
            let why = format!("a shell in a chroot ended with {}, and its removal with {:?}", ran.code, ran.rest);
            return Err(self.fault(Cause::Chroot, why));
        }
        Ok(began.elapsed())
    }
}

fn failed(journal: &Journal, message: String) -> DriverError {
    DriverError { cause: Cause::Chroot, stage: journal.current(), message }
}
