//! How the builder stands: whether it takes tasks, why not, and who is told of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use farm_api::hub::Wanted;
use farm_daemon::CancellationToken;
use farm_types::BuilderState;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    hub::Hub,
    numbers,
    thresholds::{Readings, Thresholds},
};

/// How often to look at the machine.
const LOOK: Duration = Duration::from_secs(5);

/// How often the hub hears how we stand, if nothing has changed.
const TELL: Duration = Duration::from_secs(30);

/// Why no tasks are taken that has nothing to do with the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The daemon was told to end.
    End,
    /// It was told to finish what it has and to take no more.
    Drain,
    /// A next one takes over.
    HandOver,
}

impl Order {
    /// The same as part of a sentence.
    pub fn reason(self) -> &'static str {
        match self {
            Self::End => "it was told to end",
            Self::Drain => "it finishes what it has and ends, as it was told by a signal",
            Self::HandOver => "it hands over to its successor",
        }
    }
}

/// Whether the builder takes tasks.
#[derive(Debug)]
pub struct Standing {
    order: watch::Sender<Option<Order>>,
    shortage: watch::Sender<Option<String>>,
}

impl Standing {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { order: watch::Sender::new(None), shortage: watch::Sender::new(None) })
    }

    /// Gives an order, or takes it back.
    pub fn order(&self, order: Option<Order>) {
        self.order.send_replace(order);
    }

    /// The order that holds.
    pub fn ordered(&self) -> Option<Order> {
        *self.order.borrow()
    }

    /// Waits until there is an order.
    pub async fn until_ordered(&self) {
        self.until(|order| order.is_some()).await;
    }

    /// Waits until the order that holds, or that there is none, is as it should be.
    pub async fn until(&self, is_so: impl Fn(Option<Order>) -> bool) {
        // The sender is ours.
        let _ = self.order.subscribe().wait_for(|order| is_so(*order)).await;
    }

    /// Waits until nothing is short.
    pub async fn until_enough(&self) {
        let _ = self.shortage.subscribe().wait_for(Option::is_none).await;
    }

    /// Looks at the machine.
    pub fn look(&self, thresholds: &Thresholds, folder: &Path) -> Readings {
        let now = Readings::take(folder);
        self.note(thresholds.shortage(&now, folder));
        now
    }

    /// Looks at the machine again and again, and tells the hub and the log how things stand, until `over`.
    pub async fn watch(
        &self,
        thresholds: Thresholds,
        folder: PathBuf,
        hub: Arc<Hub>,
        over: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ordered = self.order.subscribe();
        let (mut told, mut told_at, mut wanted) = (None, None::<Instant>, None);
        loop {
            let now = self.look(&thresholds, &folder);
            let reason = self.reason();
            numbers::machine(&now, reason.is_none());
            if told != Some(reason.clone()) || told_at.is_none_or(|at| at.elapsed() >= TELL) {
                match over.run_until_cancelled(hub.status(&now, reason.clone())).await {
                    None => return Ok(()),
                    Some(Ok(answer)) => {
                        note_wanted(&mut wanted, answer);
                        told = Some(reason);
                        told_at = Some(Instant::now());
                    }
                    // Who cannot be told cannot give tasks either. It is tried again with the next look.
                    Some(Err(error)) => tracing::debug!(%error, "the hub cannot be told how the builder stands"),
                }
            }
            tokio::select! {
                () = over.cancelled() => return Ok(()),
                _ = ordered.changed() => {}
                _ = ticks.tick() => {}
            }
        }
    }

    fn note(&self, shortage: Option<String>) {
        let before = self.shortage.send_replace(shortage.clone());
        match (before, shortage) {
            (None, Some(why)) => tracing::warn!("no tasks are taken: {why}"),
            (Some(_), None) => tracing::info!("there is enough of everything again: tasks are taken"),
            _ => {}
        }
    }

    fn reason(&self) -> Option<String> {
        let ordered = self.ordered().map(|order| order.reason().to_owned());
        ordered.or_else(|| self.shortage.borrow().clone())
    }
}

/// Says what an operator wants of the builder, when that has changed.
fn note_wanted(before: &mut Option<BuilderState>, Wanted { state, reason }: Wanted) {
    if before.unwrap_or(BuilderState::Enabled) != state {
        let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        match state {
            BuilderState::Enabled => tracing::info!("the farm gives this builder tasks again"),
            BuilderState::Draining => {
                tracing::info!("the farm lets this builder finish what it has and gives it no more{why}");
            }
            BuilderState::Disabled => tracing::info!("the farm gives this builder nothing{why}"),
        }
    }
    *before = Some(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_goes_before_a_shortage_and_can_be_taken_back() {
        let standing = Standing::new();
        assert_eq!(standing.reason(), None);
        standing.note(Some("no disk".to_owned()));
        assert_eq!(standing.reason().as_deref(), Some("no disk"));
        standing.order(Some(Order::HandOver));
        standing.until_ordered().await;
        assert_eq!(standing.ordered(), Some(Order::HandOver));
        assert_eq!(standing.reason().as_deref(), Some("it hands over to its successor"));
        standing.order(None);
        standing.note(None);
        standing.until_enough().await;
        assert_eq!(standing.reason(), None);
    }
}
