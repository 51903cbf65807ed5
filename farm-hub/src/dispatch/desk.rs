//! Where builders wait: what is known of them and of the tasks that can be claimed, under one lock that is never held for long.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use farm_api::error::ErrorCode;
use farm_db::queue::{Lane, ReadyKey};
use farm_types::PlatformName;
use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};

use super::{
    keys::Claimable,
    matching::{Picked, Round, match_up},
    memory::{Found, Memory, Plan},
    waiters::{Life, Serves, Ticket, Waiters},
};
use crate::{
    error::{HubError, Result},
    handout::Handout,
};

/// Tasks that are claimed by one statement at the most.
const MOST_AT_ONCE: usize = 64;

/// What somebody who waits is answered.
type Answer = Result<Handout>;

/// All who wait, and what there is for them.
pub(crate) struct Desk {
    inner: Mutex<Inner>,
    most: usize,
    number: watch::Sender<usize>,
    /// There may be something to match.
    pub(super) matches: Notify,
    /// There are builders to ask about.
    pub(super) asks: Notify,
    /// There is something to look for.
    pub(super) looks: Notify,
}

#[derive(Default)]
struct Inner {
    waiters: Waiters,
    memory: Memory,
    answers: HashMap<Ticket, oneshot::Sender<Answer>>,
    /// What all of them serve may have changed.
    ask_all: bool,
}

impl Inner {
    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if answer.as_ref().is_ok_and(|handout| !handout.is_empty()) {
            self.waiters.was_served(ticket);
        }
        self.waiters.leave(ticket);
        if let Some(sender) = self.answers.remove(&ticket) {
            // Who has hung up meanwhile drops the answer, and what was claimed goes back.
            let _ = sender.send(answer);
        }
    }
}

impl Desk {
    /// A desk at which so many may wait.
    pub(crate) fn new(most: usize) -> Self {
        let number = watch::Sender::new(0);
        let (matches, asks, looks) = Default::default();
        Self { inner: Mutex::default(), most, number, matches, asks, looks }
    }

    /// Joins those who wait.
    pub(crate) fn join(&self, life: Life, want: u32) -> Result<Waiting<'_>> {
        let (sender, answer) = oneshot::channel();
        let ticket = self.with(|inner| {
            if inner.waiters.len() >= self.most {
                return None;
            }
            let (ticket, earlier) = inner.waiters.join(life, want);
            inner.answers.insert(ticket, sender);
            if let Some(earlier) = earlier {
                inner.waiters.leave(earlier);
                inner.answers.remove(&earlier);
            }
            Some(ticket)
        });
        let message = "more builders wait here than this hub has room for; come again soon, or to another hub";
        let ticket = ticket.ok_or_else(|| HubError::new(ErrorCode::Unavailable, message))?;
        self.asks.notify_one();
        self.looks.notify_one();
        self.matches.notify_one();
        Ok(Waiting { desk: self, ticket, answer })
    }

    /// A task can be claimed.
    pub(crate) fn hear(&self, key: ReadyKey) {
        let (lane, place, now) = (key.lane(), key.place(), Instant::now());
        let known = self.with(|inner| inner.memory.hear(&lane, place, Claimable::new(key, now), now));
        if known { self.matches.notify_one() } else { self.hear_of(&lane.platform) }
    }

    /// There may be tasks of a platform, or somebody who serves it only now.
    pub(crate) fn hear_of(&self, platform: &PlatformName) {
        self.with(|inner| {
            Lane::of(platform).iter().for_each(|lane| inner.memory.doubt(lane));
            inner.ask_all = true;
        });
        self.asks.notify_one();
        self.looks.notify_one();
    }

    /// Something may have happened of which nothing was heard.
    pub(crate) fn doubt_all(&self) {
        self.with(|inner| {
            inner.memory.doubt_all();
            inner.waiters.doubt_all();
            inner.ask_all = true;
        });
        self.asks.notify_one();
        self.looks.notify_one();
    }

    /// Has everything looked through, as is done from time to time.
    pub(super) fn rescan(&self) {
        self.with(|inner| {
            inner.memory.doubt_all();
            inner.waiters.try_again();
        });
        self.looks.notify_one();
    }

    /// Whom to ask about, and whether that is everybody, since something has changed; `may_all`: it may be everybody now.
    pub(super) fn to_ask(&self, may_all: bool) -> (Vec<Life>, bool) {
        self.with(|inner| {
            let all = may_all && std::mem::take(&mut inner.ask_all);
            inner.waiters.forget(Instant::now());
            (inner.waiters.to_ask(all, Instant::now()), all)
        })
    }

    /// What was asked is known: what somebody is given; `None`: that life is over.
    pub(super) fn learn(&self, life: Life, serves: Option<Serves>) {
        self.with(|inner| match serves {
            Some(serves) => {
                serves.platforms.iter().for_each(|platform| inner.memory.follow(platform));
                inner.waiters.learn(life, serves, Instant::now());
            }
            None => {
                for ticket in inner.waiters.of(life) {
                    let message = "this life of the builder is over: another one said hello";
                    inner.answer(ticket, Err(HubError::new(ErrorCode::Conflict, message)));
                }
            }
        });
    }

    /// It could not be asked. Who came only now is told so, and may find another hub.
    pub(super) fn could_not_ask(&self, lives: &[Life], error: impl Fn() -> HubError) {
        self.with(|inner| {
            let tickets: Vec<Ticket> = lives.iter().flat_map(|life| inner.waiters.of(*life)).collect();
            for ticket in tickets {
                if inner.waiters.is_new(ticket) {
                    inner.answer(ticket, Err(error()));
                }
            }
        });
    }

    /// What to look for now. The look has begun then.
    pub(super) fn begin_look(&self) -> Plan {
        let now = Instant::now();
        self.with(|inner| {
            let plan = inner.memory.plan(now, |lane| inner.waiters.anybody_for(lane));
            if !plan.is_empty() {
                inner.memory.begin_look(&plan, now);
            }
            plan
        })
    }

    /// The look is over; `None`: it failed.
    pub(super) fn end_look(&self, plan: &Plan, found: Option<HashMap<Lane, Found>>) {
        self.with(|inner| {
            inner.memory.end_look(plan, found, Instant::now());
            for (Lane { platform, background }, known) in inner.memory.sizes() {
                let labels = [("platform", platform.to_string()), ("background", background.to_string())];
                metrics::gauge!("farm_hub_ready_known", &labels).set(u32::try_from(known).unwrap_or(u32::MAX));
            }
        });
        self.matches.notify_one();
        self.looks.notify_one();
    }

    /// Who is given what now.
    pub(super) fn round(&self) -> Round {
        let round = self.with(|inner| match_up(&mut inner.memory, &mut inner.waiters, MOST_AT_ONCE, Instant::now()));
        if !round.is_empty() {
            // What is known may run low.
            self.looks.notify_one();
        }
        round
    }

    /// When the next task's time comes.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.with(|inner| inner.memory.next_due())
    }

    /// Of whom a ticket is.
    pub(super) fn life(&self, ticket: Ticket) -> Option<(Life, u32)> {
        self.with(|inner| inner.waiters.get(ticket).map(|waiter| (waiter.life, waiter.want)))
    }

    /// Answers somebody who waits.
    pub(super) fn answer(&self, ticket: Ticket, answer: Answer) {
        self.with(|inner| inner.answer(ticket, answer));
    }

    /// Nothing could be claimed for somebody, who waits on; `certain`: by no fault of its own.
    pub(super) fn wait_on(&self, ticket: Ticket, certain: bool) {
        self.with(|inner| inner.waiters.wait_on(ticket, certain));
        let next = if certain { &self.matches } else { &self.asks };
        next.notify_one();
    }

    /// The claim of a task is over; `back`: it is there still, as far as is known.
    pub(super) fn done(&self, one: &Picked, back: Option<Claimable>) {
        self.with(|inner| inner.memory.done(&one.lane, one.place, back, Instant::now()));
    }

    /// Something of a lane was not as it was known: somebody else was faster, or whoever it was for is not given it.
    pub(super) fn doubt(&self, lane: &Lane) {
        self.with(|inner| inner.memory.doubt(lane));
        self.looks.notify_one();
    }

    /// Whether a builder keeps slots for a heavy task.
    pub(super) fn note_saves(&self, life: Life, saves_slots: bool) {
        self.with(|inner| inner.waiters.note_saves(life, saves_slots));
    }

    /// How many wait of whom all is known and for whom nothing is being claimed, as it changes.
    pub(crate) fn number(&self) -> watch::Receiver<usize> {
        self.number.subscribe()
    }

    /// Does something under the lock, and tells how many wait after that.
    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner: MutexGuard<'_, Inner> = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut inner);
        let idle = inner.waiters.idle();
        // Sent under the lock, so that the last number is the right one.
        let changed = self.number.send_if_modified(|number| std::mem::replace(number, idle) != idle);
        if changed {
            metrics::gauge!("farm_hub_waiters").set(u32::try_from(idle).unwrap_or(u32::MAX));
        }
        result
    }
}

/// A place at the desk. Leaving it leaves what is being claimed for it to whoever claims: it goes back.
pub(crate) struct Waiting<'a> {
    desk: &'a Desk,
    ticket: Ticket,
    answer: oneshot::Receiver<Answer>,
}

impl Waiting<'_> {
    /// Waits for tasks until it is `over`; what is being claimed just then is waited for all the same. `None`: there were none, or a
    /// later call of the same builder waits in its place.
    pub(crate) async fn handout(mut self, over: impl Future<Output = ()>) -> Result<Option<Handout>> {
        tokio::select! {
            biased;
            answer = &mut self.answer => return answer.ok().transpose(),
            () = over => {}
        }
        if self.desk.with(|inner| inner.waiters.withdraw(self.ticket)) {
            return Ok(None);
        }
        (&mut self.answer).await.ok().transpose()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.desk.with(|inner| {
            inner.waiters.leave(self.ticket);
            inner.answers.remove(&self.ticket);
        });
    }
}
