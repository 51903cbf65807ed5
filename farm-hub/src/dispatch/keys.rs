//! What is known of the tasks of one platform that can be claimed: a hint, kept in memory. The claim decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use farm_db::queue::{Place, ReadyKey};
use farm_types::BuilderId;
use tokio::time::Instant;

/// More of a lane are not remembered: the best are, and how far that goes.
pub(crate) const MOST: usize = 2_000;
/// When fewer are left, and not all are known, it is looked for more.
const LOW: usize = 500;
/// So long after it could be claimed, a task goes to a builder again that it went wrong on: see `farm.claim_tasks`.
const AVOID: Duration = Duration::from_secs(120);

/// What is known of a task beside its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimable {
    pub(crate) weight: u16,
    /// Before, nobody is given it.
    pub(crate) due: Instant,
    /// It went wrong on these.
    pub(crate) avoid: Vec<BuilderId>,
    /// A builder keeps slots free for it; others try to have it only if they have room for it.
    pub(crate) saved: bool,
}

impl Claimable {
    /// What a key says that was heard or found just now.
    pub(crate) fn new(key: ReadyKey, now: Instant) -> Self {
        Self { weight: key.weight, due: now + key.not_before_in, avoid: key.avoid, saved: false }
    }

    /// Whether it is for that builder by now.
    pub(crate) fn is_for(&self, builder: BuilderId, now: Instant) -> bool {
        self.avoid.is_empty() || !self.avoid.contains(&builder) || self.due + AVOID < now
    }
}

/// The tasks of one lane, as far as they are known. All up to the horizon are; without one, all there are.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: BTreeMap<Place, (Claimable, Stamp)>,
    due: BTreeSet<Place>,
    later: BTreeSet<(Instant, Place)>,
    horizon: Option<Place>,
}

/// When something was heard, in the order of hearing.
pub(crate) type Stamp = u64;

impl Keys {
    /// Remembers a task, unless it is beyond the horizon: it is found when the look comes to it.
    pub(crate) fn insert(&mut self, place: Place, ready: Claimable, stamp: Stamp, now: Instant) {
        if self.horizon.is_some_and(|horizon| place > horizon) {
            return;
        }
        self.remove(&place);
        if ready.due <= now {
            self.due.insert(place);
        } else {
            self.later.insert((ready.due, place));
        }
        self.known.insert(place, (ready, stamp));
        while self.known.len() > MOST
            && let Some((&last, _)) = self.known.last_key_value()
        {
            self.remove(&last);
            self.horizon = self.known.last_key_value().map(|(place, _)| *place);
        }
    }

    /// Forgets a task.
    pub(crate) fn remove(&mut self, place: &Place) -> Option<Claimable> {
        let (ready, _) = self.known.remove(place)?;
        if !self.due.remove(place) {
            self.later.remove(&(ready.due, *place));
        }
        Some(ready)
    }

    /// Replaces what was heard up to a moment by what a look found that began then, from the head of the queue. `more`: there is more.
    pub(crate) fn replace(&mut self, found: Vec<(Place, Claimable)>, more: bool, began: Stamp, now: Instant) {
        let old: Vec<Place> = self.known.iter().filter(|(_, (_, s))| *s <= began).map(|(place, _)| *place).collect();
        for place in old {
            self.remove(&place);
        }
        self.horizon = None;
        self.extend(found, more, began, now);
    }

    /// Adds what a look found beyond a horizon, if that is the horizon still.
    pub(crate) fn go_on(
        &mut self,
        horizon: Place,
        found: Vec<(Place, Claimable)>,
        more: bool,
        began: Stamp,
        now: Instant,
    ) -> bool {
        let fits = self.horizon == Some(horizon);
        if fits {
            self.horizon = None;
            self.extend(found, more, began, now);
        }
        fits
    }

    fn extend(&mut self, found: Vec<(Place, Claimable)>, more: bool, began: Stamp, now: Instant) {
        let end = found.last().map(|(place, _)| *place).filter(|_| more);
        for (place, ready) in found {
            // What was heard since is newer.
            if self.known.get(&place).is_none_or(|(_, stamp)| *stamp <= began) {
                self.insert(place, ready, began, now);
            }
        }
        if let Some(end) = end {
            self.end_at(end);
        }
    }

    /// Nothing is known beyond.
    fn end_at(&mut self, end: Place) {
        let horizon = self.horizon.map_or(end, |horizon| horizon.min(end));
        let beyond: Vec<Place> =
            self.known.range(horizon..).map(|(place, _)| *place).filter(|p| *p > horizon).collect();
        for place in beyond {
            self.remove(&place);
        }
        self.horizon = Some(horizon);
    }

    /// Those whose time has come can be given from now on.
    pub(crate) fn ripen(&mut self, now: Instant) {
        while let Some(&(due, place)) = self.later.first()
            && due <= now
        {
            self.later.pop_first();
            self.due.insert(place);
        }
    }

    /// When the next one's time comes.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.later.first().map(|(due, _)| *due)
    }

    /// The best one that can be given, or the best after another.
    pub(crate) fn first_after(&self, place: Option<Place>) -> Option<(Place, &Claimable)> {
        let place = match place {
            None => self.due.first(),
            Some(place) => self.due.range((std::ops::Bound::Excluded(place), std::ops::Bound::Unbounded)).next(),
        }?;
        self.known.get(place).map(|(ready, _)| (*place, ready))
    }

    pub(crate) fn get(&self, place: &Place) -> Option<&Claimable> {
        self.known.get(place).map(|(ready, _)| ready)
    }

    /// Where to go on looking, when few are left of which not all are known.
    pub(crate) fn wants_more(&self) -> Option<Place> {
        self.horizon.filter(|_| self.known.len() < LOW)
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use farm_types::{Class, TaskId};

    use super::*;

    fn place(rank: i64) -> Place {
        Place { class: Class::Normal, rank, task: TaskId(rank) }
    }

    fn ready(now: Instant) -> Claimable {
        Claimable { weight: 1, due: now, avoid: Vec::new(), saved: false }
    }

    fn ranks(keys: &Keys) -> Vec<i64> {
        std::iter::successors(keys.first_after(None), |(place, _)| keys.first_after(Some(*place)))
            .map(|(place, _)| place.rank)
            .collect()
    }

    fn found(ranks: std::ops::Range<i64>, now: Instant) -> Vec<(Place, Claimable)> {
        ranks.map(|rank| (place(rank), ready(now))).collect()
    }

    #[test]
    fn of_too_many_the_best_are_kept_and_the_rest_is_looked_for_later() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let many = i64::try_from(MOST).unwrap();
        for rank in (0..many + 3).rev() {
            keys.insert(place(rank), ready(now), 1, now);
        }
        assert_eq!(keys.len(), MOST);
        assert_eq!(ranks(&keys).last(), Some(&(many - 1)));
        keys.insert(place(many), ready(now), 2, now);
        assert_eq!(keys.len(), MOST, "what is beyond the horizon is not taken for the next one");
        for rank in 0..many - 3 {
            keys.remove(&place(rank));
        }
        assert_eq!(keys.wants_more(), Some(place(many - 1)));
        assert!(keys.go_on(place(many - 1), found(many..many + 3, now), false, 3, now));
        assert_eq!(ranks(&keys), (many - 3..many + 3).collect::<Vec<_>>());
        assert_eq!(keys.wants_more(), None);
    }

    #[test]
    fn what_is_heard_while_a_look_is_under_way_is_kept_and_what_was_there_before_is_replaced() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.insert(place(1), ready(now), 1, now);
        keys.insert(place(5), ready(now), 3, now);
        keys.replace(found(2..4, now), false, 2, now);
        assert_eq!(ranks(&keys), [2, 3, 5]);
    }

    #[test]
    fn what_is_heard_beyond_the_end_of_a_look_is_left_to_the_next_look() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.insert(place(9), ready(now), 3, now);
        keys.replace(found(1..4, now), true, 2, now);
        assert_eq!(ranks(&keys), [1, 2, 3]);
        assert_eq!(keys.wants_more(), Some(place(3)));
        assert!(!keys.go_on(place(2), found(3..9, now), false, 4, now), "it begins elsewhere");
    }

    #[test]
    fn a_task_is_given_when_its_time_has_come() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let due = now + Duration::from_secs(5);
        keys.insert(place(1), Claimable { due, ..ready(now) }, 1, now);
        assert_eq!((ranks(&keys), keys.next_due()), (vec![], Some(due)));
        keys.ripen(due);
        assert_eq!((ranks(&keys), keys.next_due()), (vec![1], None));
    }

    #[test]
    fn a_builder_that_a_task_went_wrong_on_is_given_it_two_minutes_later() {
        let now = Instant::now();
        let task = Claimable { avoid: vec![BuilderId(1)], ..ready(now) };
        assert!(!task.is_for(BuilderId(1), now) && task.is_for(BuilderId(2), now));
        assert!(task.is_for(BuilderId(1), now + AVOID + Duration::from_secs(1)));
    }
}
