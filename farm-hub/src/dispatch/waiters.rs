//! Builders that wait for a task, whose turn it is, and what each of them serves.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use farm_db::queue::{Lane, Presence};
use farm_types::{BuilderId, PlatformName, TaskId};
use tokio::time::Instant;
use uuid::Uuid;

/// What a builder serves is asked anew after so long; the question tells the database that the builder is there.
const ASK_AGAIN: Duration = Duration::from_secs(20);
/// Who comes soon after is asked about along with those who have to be, so that many are asked about at once.
const ASK_EARLY: Duration = Duration::from_secs(15);
/// What is known of a builder that does not wait is forgotten after so long.
const FORGET: Duration = Duration::from_secs(300);

/// Number of somebody who waits.
pub(crate) type Ticket = u64;

/// A builder, in one life of it.
pub(crate) type Life = (BuilderId, Uuid);

/// All who wait.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    last: Ticket,
    waiters: HashMap<Ticket, Waiter>,
    known: HashMap<Life, Known>,
    turns: HashMap<Lane, BTreeSet<Turn>>,
    /// Those who are to look by themselves, see [`State::Careful`].
    careful: BTreeSet<Turn>,
    came: u64,
    idle: usize,
}

/// Whose turn it is: who was given the least in this round, then who has been without work for the longest time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    given: u32,
    idle_since: u64,
    ticket: Ticket,
}

/// Somebody who waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) life: Life,
    /// Slots that are free.
    pub(crate) want: u32,
    turn: Turn,
    state: State,
    /// Heavy tasks that it looked for and was not given.
    tried: HashSet<TaskId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is not known, or not certain, what it serves and whether it is given anything.
    New,
    /// It can be given tasks by their keys.
    Idle,
    /// It keeps slots for a heavy task, so the database alone knows what it may be given.
    Careful,
    /// Something is being claimed for it.
    Busy,
}

/// What a builder is given.
#[derive(Debug, Default)]
pub(crate) struct Serves {
    /// Tasks of these.
    pub(crate) platforms: Vec<PlatformName>,
    /// It keeps its slots for a heavy task.
    pub(crate) saves_slots: bool,
    /// Slots that background tasks leave free.
    pub(crate) spare_slots: u32,
}

impl From<Presence> for Serves {
    fn from(presence: Presence) -> Self {
        let Presence { platforms, saves_slots, spare_slots, .. } = presence;
        Self { platforms, saves_slots, spare_slots }
    }
}

/// What is known of a builder, also between two of its claims.
#[derive(Debug, Default)]
struct Known {
    serves: Serves,
    /// When it came back for work; `None` when it was given some since.
    idle_since: Option<u64>,
    /// When it was last asked about; `None` when what is known is not certain.
    asked: Option<Instant>,
    tickets: Vec<Ticket>,
}

impl Waiter {
    /// Whether it was given nothing in this round.
    pub(crate) fn has_nothing(&self) -> bool {
        self.turn.given == 0
    }

    /// Whether it looked for that heavy task.
    pub(crate) fn tried(&self, task: TaskId) -> bool {
        self.tried.contains(&task)
    }
}

impl Waiters {
    /// Somebody joins. Answers its number, and that of an earlier wait of the same life, which is over: whoever made that call has hung
    /// up and is not here to be given anything.
    pub(crate) fn join(&mut self, life: Life, want: u32) -> (Ticket, Option<Ticket>) {
        self.last += 1;
        let ticket = self.last;
        let known = self.known.entry(life).or_default();
        let idle_since = *known.idle_since.get_or_insert_with(|| {
            self.came += 1;
            self.came
        });
        let waits = |t: &&Ticket| self.waiters.get(t).is_some_and(|waiter| waiter.state != State::Busy);
        let earlier = known.tickets.iter().find(waits).copied();
        known.tickets.push(ticket);
        let turn = Turn { given: 0, idle_since, ticket };
        self.waiters.insert(ticket, Waiter { life, want, turn, state: State::New, tried: HashSet::new() });
        self.enlist(ticket);
        (ticket, earlier)
    }

    /// Somebody leaves.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.delist(ticket);
        if let Some(waiter) = self.waiters.remove(&ticket)
            && let Some(known) = self.known.get_mut(&waiter.life)
        {
            known.tickets.retain(|t| *t != ticket);
        }
    }

    /// Somebody leaves unless something is being claimed for it just now, or was. False: there is an answer to wait for.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> bool {
        let waits = self.waiters.get(&ticket).is_some_and(|waiter| waiter.state != State::Busy);
        if waits {
            self.leave(ticket);
        }
        waits
    }

    /// Whether it is not known what it serves.
    pub(crate) fn is_new(&self, ticket: Ticket) -> bool {
        self.waiters.get(&ticket).is_some_and(|waiter| waiter.state == State::New)
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Waiter> {
        self.waiters.get(&ticket)
    }

    /// Whom to ask about. `all`: everybody who waits, since something has changed.
    pub(crate) fn to_ask(&self, all: bool, now: Instant) -> Vec<Life> {
        let age = |known: &Known| known.asked.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        let waiting = || self.known.iter().filter(|(_, known)| !known.tickets.is_empty());
        if !all && !waiting().any(|(_, known)| age(known) >= ASK_AGAIN) {
            return Vec::new();
        }
        let due = waiting().filter(|(_, known)| all || age(known) >= ASK_EARLY);
        due.map(|(life, _)| *life).collect()
    }

    /// A builder is given this.
    pub(crate) fn learn(&mut self, life: Life, serves: Serves, now: Instant) {
        let tickets = self.of(life);
        tickets.iter().for_each(|ticket| self.delist(*ticket));
        if let Some(known) = self.known.get_mut(&life) {
            (known.serves, known.asked) = (serves, Some(now));
        }
        tickets.iter().for_each(|ticket| self.enlist(*ticket));
    }

    /// Who waits in a life.
    pub(crate) fn of(&self, life: Life) -> Vec<Ticket> {
        self.known.get(&life).map(|known| known.tickets.clone()).unwrap_or_default()
    }

    /// What is known of everybody is not certain any more. Who waits stays where it is until it was asked about.
    pub(crate) fn doubt_all(&mut self) {
        self.known.values_mut().for_each(|known| known.asked = None);
    }

    /// Heavy tasks can be looked for again: something may have changed.
    pub(crate) fn try_again(&mut self) {
        self.waiters.values_mut().for_each(|waiter| waiter.tried.clear());
    }

    /// Forgets builders that have not waited for a long time.
    pub(crate) fn forget(&mut self, now: Instant) {
        self.known.retain(|_, known| {
            !known.tickets.is_empty() || known.asked.is_some_and(|at| now.saturating_duration_since(at) < FORGET)
        });
    }

    /// The lanes of which somebody can be given something.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.turns.keys()
    }

    /// Whether somebody can be given something of that lane.
    pub(crate) fn anybody_for(&self, lane: &Lane) -> bool {
        self.turns.contains_key(lane)
    }

    /// Whose turn it is, of those who can be given something of a lane and are fit.
    pub(crate) fn first(&self, lane: &Lane, is_fit: impl Fn(&Waiter) -> bool) -> Option<Ticket> {
        let turns = self.turns.get(lane)?;
        let fits = |turn: &&Turn| self.waiters.get(&turn.ticket).is_some_and(&is_fit);
        turns.iter().find(fits).map(|turn| turn.ticket)
    }

    /// It is given something for one slot in this round.
    pub(crate) fn give(&mut self, ticket: Ticket) {
        self.delist(ticket);
        if let Some(waiter) = self.waiters.get_mut(&ticket) {
            waiter.turn.given += 1;
            if waiter.turn.given < waiter.want {
                self.enlist(ticket);
            }
        }
    }

    /// Something is being claimed for it from now on; `heavy`: it looks for that task.
    pub(crate) fn make_busy(&mut self, ticket: Ticket, heavy: Option<TaskId>) {
        self.delist(ticket);
        if let Some(waiter) = self.waiters.get_mut(&ticket) {
            waiter.state = State::Busy;
            waiter.tried.extend(heavy);
        }
    }

    /// It waits on: nothing could be claimed for it. `certain`: by no fault of its own.
    pub(crate) fn wait_on(&mut self, ticket: Ticket, certain: bool) {
        let Some(waiter) = self.waiters.get_mut(&ticket) else { return };
        waiter.state = State::New;
        waiter.turn.given = 0;
        if let Some(known) = self.known.get_mut(&waiter.life)
            && !certain
        {
            known.asked = None;
        }
        self.enlist(ticket);
    }

    /// It was given something.
    pub(crate) fn was_served(&mut self, ticket: Ticket) {
        if let Some(waiter) = self.waiters.get(&ticket)
            && let Some(known) = self.known.get_mut(&waiter.life)
        {
            known.idle_since = None;
        }
    }

    /// Whether a builder keeps slots for a heavy task.
    pub(crate) fn note_saves(&mut self, life: Life, saves_slots: bool) {
        if let Some(known) = self.known.get_mut(&life) {
            known.serves.saves_slots = saves_slots;
        }
    }

    /// Those who are to look by themselves.
    pub(crate) fn careful(&self) -> Vec<Ticket> {
        self.careful.iter().map(|turn| turn.ticket).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// How many there are of whom everything is known and for whom nothing is being claimed.
    pub(crate) fn idle(&self) -> usize {
        self.idle
    }

    /// Puts somebody who waits where it can be found, if enough is known of it.
    fn enlist(&mut self, ticket: Ticket) {
        let Some(waiter) = self.waiters.get_mut(&ticket).filter(|waiter| waiter.state != State::Busy) else { return };
        let Some(known) = self.known.get(&waiter.life).filter(|known| known.asked.is_some()) else { return };
        if known.serves.saves_slots {
            waiter.state = State::Careful;
            self.careful.insert(waiter.turn);
            return;
        }
        if waiter.state != State::Idle {
            waiter.state = State::Idle;
            self.idle += 1;
        }
        let free = waiter.want.saturating_sub(waiter.turn.given);
        for lane in known.serves.platforms.iter().flat_map(Lane::of) {
            if !lane.background || free > known.serves.spare_slots {
                self.turns.entry(lane).or_default().insert(waiter.turn);
            }
        }
    }

    /// Takes somebody away from there.
    fn delist(&mut self, ticket: Ticket) {
        let Some(waiter) = self.waiters.get_mut(&ticket) else { return };
        if waiter.state == State::Idle {
            self.idle -= 1;
        }
        if waiter.state != State::Busy {
            waiter.state = State::New;
        }
        self.careful.remove(&waiter.turn);
        let Some(known) = self.known.get(&waiter.life) else { return };
        for lane in known.serves.platforms.iter().flat_map(Lane::of) {
            if let Some(turns) = self.turns.get_mut(&lane) {
                turns.remove(&waiter.turn);
                if turns.is_empty() {
                    self.turns.remove(&lane);
                }
            }
        }
    }
}
