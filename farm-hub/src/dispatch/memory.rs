//! The tasks of all platforms that are known here, and what has to be looked for.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use farm_db::queue::{Lane, Place};
use farm_types::PlatformName;
use tokio::time::Instant;

use super::keys::{Claimable, Keys, Stamp};

/// The least time between two looks at the head of a platform, however often one is asked for.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of all platforms that somebody here serves, of each lane by itself.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    lanes: HashMap<Lane, Known>,
    now: Stamp,
    /// Claims under way. A look that began before they are done may find them still.
    claiming: HashSet<(Lane, Place)>,
    look: Option<Look>,
}

/// What is known of a lane.
#[derive(Debug, Default)]
struct Known {
    keys: Keys,
    /// When it was last looked at from the head.
    looked: Option<Instant>,
    /// Something may be there that is not known.
    doubtful: bool,
}

/// A look that is under way.
#[derive(Debug)]
struct Look {
    began: Stamp,
    /// What was claimed since or was being claimed then.
    claimed: HashSet<(Lane, Place)>,
}

/// What to look for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// From the head of the queue.
    pub(crate) heads: Vec<Lane>,
    /// Beyond what is known.
    pub(crate) more: Vec<(Lane, Place)>,
    /// When there will be something to look for again that has to wait now.
    pub(crate) next: Option<Instant>,
}

impl Plan {
    /// Whether there is nothing to look for now.
    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.more.is_empty()
    }
}

/// Tasks that a look found of a lane, and whether there are more behind them.
pub(crate) type Found = (Vec<(Place, Claimable)>, bool);

impl Memory {
    /// From now on it is known of that platform what is heard. What was before has to be looked for.
    pub(crate) fn follow(&mut self, platform: &PlatformName) {
        for lane in Lane::of(platform) {
            self.lanes.entry(lane).or_insert_with(|| Known { doubtful: true, ..Known::default() });
        }
    }

    /// Remembers a task that can be claimed. False: nobody here was known to serve that platform.
    pub(crate) fn hear(&mut self, lane: &Lane, place: Place, ready: Claimable, now: Instant) -> bool {
        self.now += 1;
        let Some(known) = self.lanes.get_mut(lane) else { return false };
        known.keys.insert(place, ready, self.now, now);
        true
    }

    /// There may be something of that lane that is not known, if somebody here serves it.
    pub(crate) fn doubt(&mut self, lane: &Lane) {
        if let Some(known) = self.lanes.get_mut(lane) {
            known.doubtful = true;
        }
    }

    /// Nothing is certain any more: something may have happened of which nothing was heard.
    pub(crate) fn doubt_all(&mut self) {
        self.lanes.values_mut().for_each(|known| known.doubtful = true);
    }

    /// What has to be looked for, of lanes that somebody `waits` for.
    pub(crate) fn plan(&self, now: Instant, waits: impl Fn(&Lane) -> bool) -> Plan {
        let mut plan = Plan::default();
        for (lane, known) in self.lanes.iter().filter(|(lane, _)| waits(lane)) {
            let again = known.looked.map(|at| at + PAUSE).filter(|at| *at > now);
            match (known.doubtful, again, known.keys.wants_more()) {
                (true, None, _) => plan.heads.push(lane.clone()),
                (true, Some(again), _) => plan.next = Some(plan.next.map_or(again, |next| next.min(again))),
                (false, _, Some(horizon)) => plan.more.push((lane.clone(), horizon)),
                (false, _, None) => {}
            }
        }
        plan
    }

    /// A look begins at those lanes from the head. What is heard from now on is newer than what it finds.
    pub(crate) fn begin_look(&mut self, plan: &Plan, now: Instant) {
        for lane in &plan.heads {
            if let Some(known) = self.lanes.get_mut(lane) {
                (known.doubtful, known.looked) = (false, Some(now));
            }
        }
        self.look = Some(Look { began: self.now, claimed: self.claiming.clone() });
    }

    /// The look is over; without anything found, it failed.
    pub(crate) fn end_look(&mut self, plan: &Plan, found: Option<HashMap<Lane, Found>>, now: Instant) {
        let Some(Look { began, claimed }) = self.look.take() else { return };
        let Some(mut found) = found else {
            plan.heads.iter().for_each(|lane| self.doubt(lane));
            return;
        };
        let mut of = |lane: &Lane| {
            let (mut keys, more) = found.remove(lane).unwrap_or_default();
            keys.retain(|(place, _)| !claimed.contains(&(lane.clone(), *place)));
            (keys, more)
        };
        for lane in &plan.heads {
            if let Some(known) = self.lanes.get_mut(lane) {
                let (keys, more) = of(lane);
                known.keys.replace(keys, more, began, now);
            }
        }
        for (lane, horizon) in &plan.more {
            if let Some(known) = self.lanes.get_mut(lane) {
                let (keys, more) = of(lane);
                known.doubtful |= !known.keys.go_on(*horizon, keys, more, began, now);
            }
        }
    }

    /// The best task of a lane that can be given, or the best one after another.
    pub(crate) fn first_after(&self, lane: &Lane, place: Option<Place>) -> Option<(Place, &Claimable)> {
        self.lanes.get(lane)?.keys.first_after(place)
    }

    /// What is known of a task.
    pub(crate) fn get(&self, lane: &Lane, place: &Place) -> Option<&Claimable> {
        self.lanes.get(lane)?.keys.get(place)
    }

    /// Takes a task out to claim it. Say when that is [`done`](Self::done).
    pub(crate) fn take(&mut self, lane: &Lane, place: Place) -> Option<Claimable> {
        let ready = self.lanes.get_mut(lane)?.keys.remove(&place)?;
        self.claiming.insert((lane.clone(), place));
        if let Some(look) = &mut self.look {
            look.claimed.insert((lane.clone(), place));
        }
        Some(ready)
    }

    /// The claim of a task is over. Whatever came of it, it is not known here any more; `back`: it is there still.
    pub(crate) fn done(&mut self, lane: &Lane, place: Place, back: Option<Claimable>, now: Instant) {
        self.claiming.remove(&(lane.clone(), place));
        if let Some(ready) = back {
            self.hear(lane, place, ready, now);
        }
    }

    /// Tasks whose time has come can be given from now on.
    pub(crate) fn ripen(&mut self, now: Instant) {
        self.lanes.values_mut().for_each(|known| known.keys.ripen(now));
    }

    /// When the next one's time comes.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.lanes.values().filter_map(|known| known.keys.next_due()).min()
    }

    /// How many tasks are known of each lane.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&Lane, usize)> {
        self.lanes.iter().map(|(lane, known)| (lane, known.keys.len()))
    }
}

#[cfg(test)]
mod tests {
    use farm_types::{Class, TaskId};

    use super::*;

    fn lane() -> Lane {
        let [lane, _] = Lane::of(&"a-x86_64".parse().unwrap());
        lane
    }

    /// A memory that follows one lane.
    fn following() -> Memory {
        Memory { lanes: [(lane(), Known { doubtful: true, ..Known::default() })].into(), ..Memory::default() }
    }

    fn place(rank: i64) -> Place {
        Place { class: Class::Normal, rank, task: TaskId(rank) }
    }

    fn ready(now: Instant) -> Claimable {
        Claimable { weight: 1, due: now, avoid: Vec::new(), saved: false }
    }

    fn found(ranks: &[i64], more: bool, now: Instant) -> Option<HashMap<Lane, Found>> {
        Some(HashMap::from([(lane(), (ranks.iter().map(|rank| (place(*rank), ready(now))).collect(), more))]))
    }

    fn first(memory: &Memory) -> Option<i64> {
        memory.first_after(&lane(), None).map(|(place, _)| place.rank)
    }

    fn look(memory: &mut Memory, now: Instant) -> Plan {
        let plan = memory.plan(now, |_| true);
        memory.begin_look(&plan, now);
        plan
    }

    #[test]
    fn a_platform_is_looked_at_once_and_again_when_there_is_doubt_but_not_all_the_time() {
        let now = Instant::now();
        assert!(!Memory::default().hear(&lane(), place(1), ready(now), now), "nobody serves it");
        let mut memory = following();
        let plan = look(&mut memory, now);
        assert_eq!(plan.heads, [lane()]);
        memory.end_look(&plan, found(&[1], false, now), now);
        assert_eq!(memory.plan(now, |_| true), Plan::default());
        memory.doubt(&lane());
        assert_eq!(memory.plan(now, |_| true), Plan { next: Some(now + PAUSE), ..Plan::default() });
        assert_eq!(memory.plan(now, |_| false), Plan::default(), "nobody waits");
        assert_eq!(memory.plan(now + PAUSE, |_| true).heads, [lane()]);
    }

    #[test]
    fn a_look_does_not_bring_back_what_is_claimed_meanwhile() {
        let (mut memory, now) = (following(), Instant::now());
        memory.hear(&lane(), place(1), ready(now), now);
        memory.hear(&lane(), place(2), ready(now), now);
        memory.take(&lane(), place(1)).unwrap();
        let plan = look(&mut memory, now);
        memory.take(&lane(), place(2)).unwrap();
        memory.done(&lane(), place(1), None, now);
        memory.end_look(&plan, found(&[1, 2, 3], false, now), now);
        assert_eq!(first(&memory), Some(3));
    }

    #[test]
    fn a_look_that_failed_is_made_again() {
        let (mut memory, now) = (following(), Instant::now());
        let plan = look(&mut memory, now);
        memory.end_look(&plan, None, now);
        assert_eq!(memory.plan(now + PAUSE, |_| true).heads, [lane()]);
    }

    #[test]
    fn more_is_looked_for_before_the_last_one_is_gone() {
        let (mut memory, now) = (following(), Instant::now());
        let plan = look(&mut memory, now);
        memory.end_look(&plan, found(&[1, 2], true, now), now);
        let plan = look(&mut memory, now);
        assert_eq!(plan.more, [(lane(), place(2))]);
        memory.end_look(&plan, found(&[3], false, now), now);
        memory.take(&lane(), place(1));
        memory.take(&lane(), place(2));
        assert_eq!(first(&memory), Some(3));
        assert_eq!(memory.plan(now, |_| true), Plan::default());
    }
}
