//! The work: claiming tasks and building them, until an order; and what becomes of the builds then.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use farm_api::{
    client::ClientError,
    error::ErrorCode,
    hub::{Claimed, Lease},
};
use farm_daemon::{Backoff, CancellationToken};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    assignment::Workshop,
    board::Board,
    handover::{Line, Successor},
    numbers,
    run::say_hello,
    slots::Slots,
    standing::{Order, Standing},
};
use crate::driver::Driver;

/// How long a claim waits in the hub.
const CLAIM_WAIT: Duration = Duration::from_secs(30);
/// For how long the hub is not asked anew though more slots are free: what it may be claiming for us just then would go back.
const ASK_ANEW: Duration = Duration::from_secs(1);

/// How long a claim under way may take to come back once no more tasks are wanted. The hub hears of that and answers at once; what it
/// had given would else be held by nobody until the lease runs out.
const LAST_ANSWER: Duration = Duration::from_secs(3);

/// How long slots are kept for a heavy task before the hub is asked again: something of a better class may have come, or somebody else
/// has taken it.
const KEEP: Duration = Duration::from_secs(5);

/// Half of the time, a second, within which all builders of a hub that was away come back to it, each at a moment of its own.
const COME_BACK: Duration = Duration::from_millis(500);

/// How long the hub may take to hear that a successor takes over.
const LEAVE: Duration = Duration::from_secs(10);

/// What the work is done with.
pub struct Work<D> {
    pub workshop: Arc<Workshop<D>>,
    pub board: Arc<Board>,
    pub slots: Arc<Slots>,
    pub standing: Arc<Standing>,
    /// Whether there is no predecessor any more.
    pub alone: watch::Receiver<bool>,
    /// Whether health and metrics are served.
    pub serves: watch::Receiver<bool>,
    pub shutdown: CancellationToken,
}

impl<D: Driver> Work<D> {
    /// Works until there is an order and it is carried out.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut builds = JoinSet::new();
        let (claimed, mut successor) = loop {
            let claimed = self.claim(&mut builds).await;
            if claimed.is_err() || self.standing.ordered() != Some(Order::HandOver) {
                break (claimed, None);
            }
            match self.hand_over().await {
                Ok(line) => break (Ok(()), Some(line)),
                Err(error) if self.shutdown.is_cancelled() => {
                    tracing::info!("no successor took over: {error:#}");
                    break (Ok(()), None);
                }
                Err(error) => {
                    tracing::error!("no successor took over: {error:#}; this daemon goes on");
                    if let Err(error) = self.go_on().await {
                        break (Err(error), None);
                    }
                }
            }
        };
        if claimed.is_err() {
            self.shutdown.cancel();
        }
        self.see_to_the_end(&mut builds, successor.as_mut()).await;
        self.shutdown.cancel();
        claimed
    }

    /// Lets the builds end. Told to end, it gives them some time and then gives them back.
    async fn see_to_the_end(&mut self, builds: &mut JoinSet<()>, successor: Option<&mut Line>) {
        let drain = Duration::from_secs(self.workshop.config.drain_seconds);
        let (shutdown, mut alone) = (self.shutdown.clone(), self.alone.clone());
        let hung_up = async {
            match successor {
                Some(line) => line.hung_up().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = hung_up => {
                tracing::info!("the successor was told to end, so this daemon ends too");
                self.standing.order(Some(Order::End));
                shutdown.cancel();
            }
            () = async { all_of(builds).await; let _ = alone.wait_for(|alone| *alone).await; } => return,
        }
        if !builds.is_empty() {
            tracing::info!(builds = builds.len(), "builds may go on for {} seconds", drain.as_secs());
        }
        if timeout(drain, all_of(builds)).await.is_err() {
            self.board.give_all_back();
            all_of(builds).await;
        }
    }

    /// Claims what fits into the free slots, until there is an order.
    async fn claim(&self, builds: &mut JoinSet<()>) -> anyhow::Result<()> {
        let (hub, slots, standing) = (&self.workshop.hub, &self.slots, &self.standing);
        let mut backoff = Backoff::new(COME_BACK, Duration::from_secs(15));
        let mut keeps = None;
        loop {
            let can_take = async {
                slots.until_free(1).await;
                standing.until_enough().await;
            };
            tokio::select! {
                biased;
                () = standing.until_ordered() => return Ok(()),
                () = can_take => {}
            }
            while builds.try_join_next().is_some() {}
            numbers::slots(slots.all(), slots.free());
            let Some((want, answer)) = self.ask().await else { return Ok(()) };
            match hub.note(answer) {
                Ok(Claimed { leases, saves_slots }) => {
                    let nothing = leases.is_empty();
                    leases.into_iter().for_each(|lease| self.begin(lease, builds));
                    match saves_slots {
                        // What it was given last has gone meanwhile, or will be there in a moment.
                        Some(needed) if needed <= want && nothing => self.pause(backoff.next_delay()).await,
                        Some(needed) => {
                            if keeps != Some(needed) {
                                tracing::info!(
                                    "the next task takes {needed} slots: they are kept until so many are free"
                                );
                            }
                            let _ = timeout(KEEP, self.or_ordered(slots.until_free(needed))).await;
                        }
                        None => backoff.reset(),
                    }
                    keeps = saves_slots;
                }
                Err(error) if is_final(&error) => {
                    return Err(error).context("the hub does not take this builder any more");
                }
                Err(error) => {
                    tracing::warn!(%error, "no tasks can be claimed at the moment");
                    self.pause(backoff.next_delay_of(error.retry_after())).await;
                }
            }
            numbers::slots(slots.all(), slots.free());
        }
    }

    /// Asks for tasks for all free slots, and anew when there are more: a background task, which leaves some of them free, may have room only
    /// then. Answers for how many slots it asked last. `None`: there was an order, and no answer came any more.
    async fn ask(&self) -> Option<(u32, Result<Claimed, ClientError>)> {
        loop {
            let want = self.slots.free().max(1);
            let claim = self.workshop.hub.claim(want, CLAIM_WAIT);
            tokio::pin!(claim);
            let more = async {
                sleep(ASK_ANEW).await;
                self.slots.until_more_are_free(want).await;
            };
            let answer = tokio::select! {
                biased;
                answer = &mut claim => Some(answer),
                () = self.standing.until_ordered() => timeout(LAST_ANSWER, claim).await.ok(),
                // Hanging up takes back the question.
                () = more => continue,
            };
            return answer.map(|answer| (want, answer));
        }
    }

    async fn pause(&self, pause: Duration) {
        self.or_ordered(sleep(pause)).await;
    }

    async fn or_ordered(&self, wait: impl Future<Output = ()>) {
        tokio::select! {
            () = wait => {}
            () = self.standing.until_ordered() => {}
        }
    }

    /// Holds a lease from this moment on, and carries it out; or gives it back at once where that cannot be.
    fn begin(&self, lease: Lease, builds: &mut JoinSet<()>) {
        let (held, workshop) = (self.board.hold(lease.key), Arc::clone(&self.workshop));
        if self.standing.ordered() == Some(Order::End) {
            builds.spawn(async move { workshop.hand_back(&held, "the builder was told to end").await });
        } else if let Some(slots) = self.slots.take(lease.weight) {
            builds.spawn(async move {
                let _slots = slots;
                workshop.carry_out(held, lease).await;
            });
        } else {
            tracing::error!(task.id = %lease.key.task, lease.weight, "the hub gives more than there are free slots");
            builds.spawn(async move { workshop.hand_back(&held, "the builder has too few free slots").await });
        }
    }

    /// Has a successor take over. Told to end meanwhile, it leaves none behind.
    async fn hand_over(&mut self) -> anyhow::Result<Line> {
        let prepared = self.shutdown.run_until_cancelled(Successor::prepare()).await;
        let successor = prepared.unwrap_or_else(|| Err(anyhow::anyhow!("this daemon was told to end")))?;
        // It wants to serve at the same address.
        let _ = timeout(LEAVE, self.serves.wait_for(|serves| !serves)).await;
        let told = timeout(LEAVE, self.workshop.hub.leave(false)).await;
        told.map_err(|_| anyhow::anyhow!("the hub does not answer"))?.context("the hub could not be told")?;
        self.slots.keep(false);
        successor.start(&self.shutdown).await
    }

    /// After a handover that failed: as before.
    async fn go_on(&self) -> anyhow::Result<()> {
        self.slots.keep(true);
        let successor = !*self.alone.borrow();
        say_hello(&self.workshop.hub, &self.workshop.config, successor, &self.shutdown).await?;
        if self.standing.ordered() == Some(Order::HandOver) {
            tracing::info!("tasks are taken again");
            self.standing.order(None);
        }
        Ok(())
    }
}

async fn all_of(builds: &mut JoinSet<()>) {
    while builds.join_next().await.is_some() {}
}

/// Whether there is no use in asking again: another daemon has our name, or the token is not valid any more.
fn is_final(error: &ClientError) -> bool {
    matches!(error, ClientError::NotAllowed(_)) || error.code() == Some(ErrorCode::Conflict)
}
