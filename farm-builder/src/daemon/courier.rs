//! Stages and log of an attempt on their way to the hub.
//!
//! The log goes through a file: so a hub that is away for an hour costs disk, not memory, and the whole log is at hand at the end.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use farm_daemon::CancellationToken;
use farm_types::{LeaseKey, Outcome, Stage};
use tokio::{
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
    sync::watch,
};

use super::{
    board::{Order, Why},
    hub::{Hub, Setback, insist},
    numbers,
};

/// The largest piece of log.
const PIECE: u64 = 256 << 10;

/// How long a smaller piece waits for more.
const FLUSH: Duration = Duration::from_secs(1);

/// The end at which stages and log go in.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: tokio::fs::File,
    state: watch::Sender<State>,
}

/// What there is to bring.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    size: u64,
    stage: Option<Stage>,
}

impl Spool {
    /// A new, empty log.
    pub async fn create(path: PathBuf) -> io::Result<Self> {
        let file = fs_err::tokio::File::create(&path).await?.into_parts().0;
        Ok(Self { path, file, state: watch::Sender::default() })
    }

    /// The file.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// The log goes on.
    pub async fn append(&mut self, bytes: &Bytes) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        self.file.flush().await?;
        self.state.send_modify(|state| state.size += bytes.len() as u64);
        numbers::logged(bytes.len());
        Ok(())
    }

    /// A stage begins.
    pub fn stage(&self, stage: Stage) {
        self.state.send_modify(|state| state.stage = Some(stage));
    }
}

/// Brings stages and log to the hub, until told that it is over.
pub struct Courier {
    hub: Arc<Hub>,
    key: LeaseKey,
    order: Arc<Order>,
    path: PathBuf,
    state: watch::Receiver<State>,
    sent: u64,
    told: Option<Stage>,
}

impl Courier {
    /// A courier for what goes into a spool.
    pub fn new(hub: Arc<Hub>, key: LeaseKey, order: Arc<Order>, spool: &Spool) -> Self {
        let (path, state) = (spool.path.clone(), spool.state.subscribe());
        Self { hub, key, order, path, state, sent: 0, told: None }
    }

    /// Works until `over`. A lease that turns out to be gone is an order to stop.
    pub async fn run(mut self, over: CancellationToken) {
        match over.run_until_cancelled(self.bring_all(&over)).await {
            None | Some(Setback::Stopped) => {}
            Some(Setback::LeaseLost) => self.order.give(Why::Gone(Outcome::Lost)),
            // The whole log comes with the results.
            Some(Setback::Refused(error)) => {
                tracing::warn!(task.id = %self.key.task, %error, "the hub takes no more of the log for now");
            }
        }
    }

    async fn bring_all(&mut self, over: &CancellationToken) -> Setback {
        loop {
            let state = *self.state.borrow_and_update();
            if let Err(setback) = self.bring(state, over).await {
                return setback;
            }
            if self.state.changed().await.is_err() {
                return Setback::Stopped;
            }
            let stage = self.told;
            let (sent, worth_it) = (self.sent, |state: &State| state.stage != stage);
            // A piece that is full, or a stage, goes at once; else more may come.
            let enough = self.state.wait_for(|state| state.size - sent >= PIECE || worth_it(state));
            let _ = tokio::time::timeout(FLUSH, enough).await;
        }
    }

    async fn bring(&mut self, state: State, over: &CancellationToken) -> Result<(), Setback> {
        if let Some(stage) = state.stage.filter(|stage| self.told != Some(*stage)) {
            insist("telling the stage", over, || self.hub.stage(&self.key, stage)).await?;
            self.told = Some(stage);
        }
        while self.sent < state.size {
            let piece = self.read(state.size).await.map_err(|error| Setback::Refused(error.into()))?;
            let next = insist("bringing the log", over, || self.hub.log(&self.key, self.sent, piece.clone())).await?;
            // Whatever the hub has, it goes on from there.
            self.sent = next.min(state.size);
        }
        Ok(())
    }

    async fn read(&self, size: u64) -> io::Result<Bytes> {
        let length = (size - self.sent).min(PIECE);
        let mut file = fs_err::tokio::File::open(&self.path).await?;
        file.seek(io::SeekFrom::Start(self.sent)).await?;
        let mut piece = Vec::new();
        file.take(length).read_to_end(&mut piece).await?;
        Ok(piece.into())
    }
}
