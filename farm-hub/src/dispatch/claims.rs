//! Claiming what was matched. Everything before was a hint; here the database decides.

use std::{collections::HashMap, time::Duration};

use farm_db::{
    DbError,
    queue::{self, ClaimedTask, Pick, ReadyKey},
};
use farm_types::TaskId;
use tracing::warn;

use super::{
    keys::Claimable,
    matching::Picked,
    waiters::{Life, Ticket},
};
use crate::{error::Result, handout::Handout, hub::Shared};

/// Claims tasks by their keys, for any number of builders at once, and answers those who got something. Who got nothing waits on.
pub(super) async fn claim_by_key(hub: Shared, picks: Vec<(Ticket, Vec<Picked>)>) {
    let picks: Vec<_> =
        picks.into_iter().filter_map(|(ticket, picked)| Some((ticket, hub.desk.life(ticket)?, picked))).collect();
    let all: Vec<Pick> = picks.iter().flat_map(|(_, waiter, picked)| picks_of(*waiter, picked)).collect();
    if all.is_empty() {
        return;
    }
    metrics::histogram!("farm_hub_claim_batch").record(u32::try_from(all.len()).unwrap_or(u32::MAX));
    let (number, lease_seconds) = (all.len(), hub.config.lease_seconds);
    let claimed = hub.pool.run(move |conn| queue::claim_keys(conn, &all, lease_seconds)).await;
    let failed = claimed.as_ref().err().map(|error| matches!(error, DbError::Unavailable(_) | DbError::Busy));
    if let Err(error) = &claimed {
        warn!(%error, picks = number, "tasks cannot be claimed");
    }
    let mut claimed: HashMap<TaskId, ClaimedTask> =
        claimed.unwrap_or_default().into_iter().map(|(_, task)| (task.key.task, task)).collect();
    for (ticket, ((builder, _), _), picked) in picks {
        let mut tasks = Vec::new();
        for one in &picked {
            hub.desk.done(one, None);
            match claimed.remove(&one.place.task) {
                Some(task) => tasks.push(task),
                None => {
                    metrics::counter!("farm_hub_missed_total").increment(1);
                    hub.desk.doubt(&one.lane);
                }
            }
        }
        match failed {
            _ if !tasks.is_empty() => {
                let handout = Handout::new(Shared::clone(&hub), builder, tasks, None);
                hub.desk.answer(ticket, Ok(handout));
            }
            // A mistake is of one of them, who is found by looking for each alone.
            Some(false) => _ = tokio::spawn(claim_carefully(Shared::clone(&hub), ticket, None)),
            // It is asked about first: perhaps it is given nothing any more.
            Some(true) | None => hub.desk.wait_on(ticket, false),
        }
    }
    hub.desk.matches.notify_one();
}

/// What a builder with so many free slots is to have, each of one slot.
fn picks_of(((builder, instance), want): (Life, u32), picked: &[Picked]) -> impl Iterator<Item = Pick> {
    let key = |Picked { lane, place, ready }: &Picked| ReadyKey {
        platform: lane.platform.clone(),
        class: place.class,
        rank: place.rank,
        task: place.task,
        weight: ready.weight,
        background: lane.background,
        not_before_in: Duration::ZERO,
        avoid: Vec::new(),
    };
    let free = (0..=want).rev();
    picked.iter().zip(free).map(move |(one, free)| Pick { key: key(one), builder, instance, free })
}

/// Has a builder look into the queue by itself; `heavy`: because of that task.
pub(super) async fn claim_carefully(hub: Shared, ticket: Ticket, heavy: Option<Picked>) {
    let found = match hub.desk.life(ticket) {
        Some((life, want)) => Some((life, look(&hub, life, want).await)),
        // It has hung up.
        None => None,
    };
    let saves = |result: &Result<Handout>| result.as_ref().is_ok_and(|handout| handout.saves_slots().is_some());
    if let Some(one) = heavy {
        let got = found.as_ref().and_then(|(_, result)| Some(result.as_ref().ok()?.has(one.place.task)));
        let saved = one.ready.saved || found.as_ref().is_some_and(|(_, result)| saves(result));
        let back = Claimable { saved, ..one.ready.clone() };
        hub.desk.done(&one, (got != Some(true)).then_some(back));
    }
    if let Some((life, result)) = found {
        hub.desk.note_saves(life, saves(&result));
        match result {
            Ok(nothing) if !nothing.is_an_answer() => hub.desk.wait_on(ticket, true),
            answer => hub.desk.answer(ticket, answer),
        }
    }
    hub.desk.matches.notify_one();
}

/// One look into the queue, by a builder that has so many free slots. It runs to its end even if whoever asked hangs up: what it got is
/// given back then.
pub(crate) async fn look(hub: &Shared, (builder, instance): Life, want: u32) -> Result<Handout> {
    let hub = Shared::clone(hub);
    let look = async move {
        let lease_seconds = hub.config.lease_seconds;
        let claim = move |conn: &mut _| {
            let tasks = queue::claim(conn, builder, instance, want, lease_seconds)?;
            let saves_slots = if tasks.is_empty() { queue::saves_slots(conn, builder)? } else { None };
            Ok((tasks, saves_slots))
        };
        let (tasks, saves_slots) = hub.pool.run(claim).await?;
        Ok(Handout::new(hub, builder, tasks, saves_slots))
    };
    tokio::spawn(look).await?
}
