//! Real builder daemons with a driver that builds nothing, so that a test has thousands of builds or decides when one ends.

use std::{sync::Arc, thread, time::Duration};

use bytes::Bytes;
use farm_api::record::Usage;
use farm_builder::{
    BuildEvent, BuildOutcome, BuildReport, BuildRequest, BuiltFile, Config, Driver, DriverError, EventSink,
};
use farm_daemon::CancellationToken;
use farm_types::{ArtifactKind, Digest, Stage};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

/// Writes a line of log, waits, and brings a file that names the build.
#[derive(Clone)]
pub struct Quick {
    /// How long a build takes at least.
    pub takes: Duration,
    /// Builds end only while this is open.
    pub gate: watch::Receiver<bool>,
}

/// What keeps builds from ending while it is closed.
pub fn gate(open: bool) -> (Arc<watch::Sender<bool>>, watch::Receiver<bool>) {
    let (sender, receiver) = watch::channel(open);
    (Arc::new(sender), receiver)
}

impl Driver for Quick {
    async fn build(
        &self,
        request: BuildRequest,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<BuildReport, DriverError> {
        let _ = events.send(BuildEvent::StageBegan(Stage::Build)).await;
        let _ = events.send(BuildEvent::Log(Bytes::from(format!("the build {} is at work\n", request.id)))).await;
        let mut gate = self.gate.clone();
        let work = async {
            tokio::time::sleep(self.takes).await;
            let _ = gate.wait_for(|open| *open).await;
        };
        let outcome = match cancel.run_until_cancelled(work).await {
            None => BuildOutcome::Cancelled,
            Some(()) => BuildOutcome::Succeeded { packages: vec![package(&request)] },
        };
        Ok(BuildReport {
            outcome,
            stages: Vec::new(),
            marks: Vec::new(),
            usage: Usage::default(),
            isolation: None,
            record: None,
        })
    }
}

fn package(request: &BuildRequest) -> BuiltFile {
    let (path, text) = (request.results.join("quick-1-1.noarch.rpm"), format!("built by {}", request.id));
    fs_err::write(&path, &text).unwrap();
    BuiltFile {
        path,
        name: "quick-1-1.noarch.rpm".parse().unwrap(),
        kind: ArtifactKind::Rpm,
        size: text.len() as u64,
        digest: Digest::from_bytes(Sha256::digest(&text).into()),
    }
}

/// A builder daemon on a thread of its own, and so in the network of whoever starts it. It ends with this.
pub struct Builder {
    shutdown: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Builder {
    pub fn start(config: Config, driver: Quick) -> Self {
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            if let Err(error) = runtime.block_on(farm_builder::run_with(driver, config, token)) {
                eprintln!("a builder ended: {error:#}");
            }
        });
        Self { shutdown, thread: Some(thread) }
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take().filter(|_| !thread::panicking()) {
            let _ = thread.join();
        }
    }
}
