//! Who is given what: the best task of all to whoever of its platform has been without work for the longest time.

use std::{cmp::Reverse, collections::BinaryHeap};

use farm_db::queue::{Lane, Place};
use tokio::time::Instant;

use super::{
    keys::Claimable,
    memory::Memory,
    waiters::{Ticket, Waiter, Waiters},
};

/// What a look at memory came to. For all who are named here something is being claimed from then on.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Tasks to be claimed by their keys, each one's together.
    pub(crate) picks: Vec<(Ticket, Vec<Picked>)>,
    /// Builders that are to look into the queue themselves, and the heavy task that they do it for: how slots are kept for such a task
    /// is a matter of the database.
    pub(crate) careful: Vec<(Ticket, Option<Picked>)>,
}

/// A task that was taken out of memory to be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picked {
    pub(crate) lane: Lane,
    pub(crate) place: Place,
    pub(crate) ready: Claimable,
}

impl Round {
    pub(crate) fn is_empty(&self) -> bool {
        self.picks.is_empty() && self.careful.is_empty()
    }

    fn pick(&mut self, ticket: Ticket, picked: Picked) {
        match self.picks.iter_mut().find(|(t, _)| *t == ticket) {
            Some((_, picks)) => picks.push(picked),
            None => self.picks.push((ticket, vec![picked])),
        }
    }
}

/// Matches what can be given with those who wait: `most` tasks at the most, the best first. Everybody is given one before anybody is
/// given two, so that work is spread.
pub(crate) fn match_up(memory: &mut Memory, waiters: &mut Waiters, most: usize, now: Instant) -> Round {
    memory.ripen(now);
    let mut round = Round::default();
    for ticket in waiters.careful() {
        waiters.make_busy(ticket, None);
        round.careful.push((ticket, None));
    }
    let mut heads: BinaryHeap<_> =
        waiters.lanes().filter_map(|lane| Some(Reverse((memory.first_after(lane, None)?.0, lane.clone())))).collect();
    let mut picked = 0;
    while picked < most
        && let Some(Reverse((place, lane))) = heads.pop()
    {
        if !waiters.anybody_for(&lane) {
            continue;
        }
        if let Some((next, _)) = memory.first_after(&lane, Some(place)) {
            heads.push(Reverse((next, lane.clone())));
        }
        let Some(ready) = memory.get(&lane, &place) else { continue };
        let heavy = ready.weight > 1;
        let Some(ticket) = whose_turn(waiters, &lane, place, ready, now) else { continue };
        let Some(ready) = memory.take(&lane, place) else { continue };
        let one = Picked { lane, place, ready };
        picked += 1;
        if heavy {
            waiters.make_busy(ticket, Some(place.task));
            round.careful.push((ticket, Some(one)));
        } else {
            waiters.give(ticket);
            round.pick(ticket, one);
        }
    }
    for (ticket, _) in &round.picks {
        waiters.make_busy(*ticket, None);
    }
    round
}

/// Who is given a task, if anybody is.
fn whose_turn(waiters: &Waiters, lane: &Lane, place: Place, ready: &Claimable, now: Instant) -> Option<Ticket> {
    if ready.weight <= 1 {
        return waiters.first(lane, |waiter| ready.is_for(waiter.life.0, now));
    }
    let may = |waiter: &Waiter| waiter.has_nothing() && !waiter.tried(place.task) && ready.is_for(waiter.life.0, now);
    // Who has room for it goes first; else somebody has to keep slots for it, and one is enough.
    waiters
        .first(lane, |waiter| may(waiter) && waiter.want >= ready.weight.into())
        .or_else(|| waiters.first(lane, may).filter(|_| !ready.saved))
}

#[cfg(test)]
mod tests;
