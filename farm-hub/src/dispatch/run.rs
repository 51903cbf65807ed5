//! The loops that keep the desk going: what is known of builders, what is known of tasks, and who is given what.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use farm_db::{
    DbError,
    queue::{self, Lane, ReadyKey},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at},
};
use tracing::warn;

use super::{
    claims,
    keys::Claimable,
    memory::{Found, Plan},
    waiters::Life,
};
use crate::hub::Shared;

/// Claims of builders that look by themselves, at once.
const CAREFUL: usize = 2;
/// A claim by keys that takes so long hangs: another one may begin.
const HANGS: Duration = Duration::from_millis(100);
/// Tasks that a look asks for, of each lane.
const KEYS: u32 = 1_000;
/// How often to see whether builders have to be asked about.
const ASK_TICK: Duration = Duration::from_secs(2);
/// The least time between two questions about everybody.
const ASK_ALL_PAUSE: Duration = Duration::from_secs(1);
/// How long to wait after a look that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Builders that come at the same time are asked about at once.
const ASK_GATHER: Duration = Duration::from_millis(5);

/// Matches and claims whenever there is something to match.
pub(crate) async fn dispatch(hub: Shared) -> anyhow::Result<()> {
    let (turns, careful) = (Turns::default(), Arc::new(Semaphore::new(CAREFUL)));
    let mut under_way = JoinSet::new();
    let matching = async {
        loop {
            while let Some(ended) = under_way.try_join_next() {
                // Whoever it claimed for would wait in vain.
                ended.context("a claim broke off")?;
            }
            // Before the match, so that all that came until then is in it.
            let permit = turns.next().await;
            let round = hub.desk.round();
            for (ticket, heavy) in round.careful {
                let (hub, careful) = (Shared::clone(&hub), Arc::clone(&careful));
                under_way.spawn(async move {
                    let _permit = careful.acquire_owned().await;
                    claims::claim_carefully(hub, ticket, heavy).await;
                });
            }
            if round.picks.is_empty() {
                drop(permit);
                match hub.desk.next_due() {
                    Some(due) => _ = timeout_at(due, hub.desk.matches.notified()).await,
                    None => hub.desk.matches.notified().await,
                }
                continue;
            }
            let hub = Shared::clone(&hub);
            under_way.spawn(async move {
                let _permit = permit;
                claims::claim_by_key(hub, round.picks).await;
            });
        }
    };
    let ended = hub.shutdown.run_until_cancelled(matching).await.unwrap_or(Ok(()));
    // They answer those whom they claim for, also at the end.
    under_way.detach_all();
    ended
}

/// Whose turn it is to claim by keys: one at a time, while which others gather for the next, or one more beside one that hangs.
struct Turns {
    usual: Arc<Semaphore>,
    spare: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { usual: Arc::new(Semaphore::new(1)), spare: Arc::new(Semaphore::new(1)) }
    }
}

impl Turns {
    /// Waits for a turn, which lasts as long as what it answers. (A semaphore that is never closed always has one to give in the end.)
    async fn next(&self) -> Option<OwnedSemaphorePermit> {
        let usual = || Arc::clone(&self.usual).acquire_owned();
        if let Ok(turn) = timeout(HANGS, usual()).await {
            return turn.ok();
        }
        tokio::select! {
            turn = usual() => turn.ok(),
            turn = Arc::clone(&self.spare).acquire_owned() => turn.ok(),
        }
    }
}

/// Asks what builders are given that came or were not asked about for a while, all in one statement, which tells the database that
/// they are there.
pub(crate) async fn ask_about_builders(hub: Shared) -> anyhow::Result<()> {
    let mut ticks = interval(ASK_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked_all = None::<Instant>;
    let asking = async {
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = hub.desk.asks.notified() => {}
            }
            sleep(ASK_GATHER).await;
            // Anybody may say that something has changed: about all is asked once a second at the most.
            let may_all = asked_all.is_none_or(|at| at.elapsed() >= ASK_ALL_PAUSE);
            let (lives, all) = hub.desk.to_ask(may_all);
            if all {
                asked_all = Some(Instant::now());
            }
            if !lives.is_empty() {
                ask(&hub, lives).await;
            }
        }
    };
    hub.shutdown.run_until_cancelled(asking).await;
    Ok(())
}

async fn ask(hub: &Shared, lives: Vec<Life>) {
    let asked = lives.clone();
    match hub.pool.run(move |conn| queue::presence(conn, &asked)).await {
        Ok(presences) => {
            for (life, presence) in lives.into_iter().zip(presences) {
                hub.desk.learn(life, presence.alive.then_some(presence.into()));
            }
            hub.desk.looks.notify_one();
            hub.desk.matches.notify_one();
        }
        Err(error) => {
            warn!(%error, "cannot ask what builders are given");
            hub.desk.could_not_ask(&lives, || error.again().into());
        }
    }
}

/// Looks for tasks that are not known: at first, when there is doubt, when those that are known run low, and from time to time, since
/// notifications are lost while nobody listens.
pub(crate) async fn look_for_tasks(hub: Shared) -> anyhow::Result<()> {
    let pause = || Duration::from_secs(hub.config.rescan_seconds).mul_f64(rand::random_range(1.0..2.0));
    let looking = async {
        let mut rescan = Instant::now() + pause();
        loop {
            let plan = hub.desk.begin_look();
            if !plan.is_empty() {
                if let Err(error) = look(&hub, plan).await {
                    warn!(%error, "cannot look for tasks");
                    sleep(LOOK_AGAIN).await;
                }
                continue;
            }
            let until = plan.next.map_or(rescan, |next| next.min(rescan));
            let _ = timeout_at(until, hub.desk.looks.notified()).await;
            if Instant::now() >= rescan {
                hub.desk.rescan();
                rescan = Instant::now() + pause();
            }
        }
    };
    hub.shutdown.run_until_cancelled(looking).await;
    Ok(())
}

async fn look(hub: &Shared, plan: Plan) -> Result<(), DbError> {
    for (kind, number) in [("head", plan.heads.len()), ("more", plan.more.len())] {
        metrics::counter!("farm_hub_looks_total", "kind" => kind).increment(number as u64);
    }
    let (heads, more) = (plan.heads.clone(), plan.more.clone());
    let found = hub.pool.run(move |conn| {
        let mut keys = if heads.is_empty() { Vec::new() } else { queue::ready_keys(conn, &heads, KEYS)? };
        if !more.is_empty() {
            keys.extend(queue::ready_keys_after(conn, &more, KEYS)?);
        }
        Ok(keys)
    });
    let (found, result) = match found.await {
        Ok(keys) => (Some(by_lane(keys)), Ok(())),
        Err(error) => (None, Err(error)),
    };
    hub.desk.end_look(&plan, found);
    result
}

/// What a look found, in the order in which it was found.
fn by_lane(keys: Vec<ReadyKey>) -> HashMap<Lane, Found> {
    let (mut found, now) = (HashMap::<Lane, Found>::new(), Instant::now());
    for key in keys {
        let (keys, _) = found.entry(key.lane()).or_default();
        keys.push((key.place(), Claimable::new(key, now)));
    }
    let most = usize::try_from(KEYS).unwrap_or(usize::MAX);
    found.values_mut().for_each(|(keys, more)| *more = keys.len() >= most);
    found
}
