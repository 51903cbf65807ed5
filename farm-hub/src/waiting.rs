//! Builders that wait for a task, and who of them is woken: exactly as many as there are tasks, the longest idle first.
//!
//! A wake-up is a duty: whoever is woken looks into the queue, and afterwards, if there is still something of that
//! platform, the next one is woken (see `calls::claim`). A waiter that goes away hands its wake-ups back, so none is lost.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use farm_types::{BuilderId, PlatformName};
use tokio::sync::{Notify, watch};

/// There may be a task of this platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wake {
    pub(crate) platform: PlatformName,
    /// Who looked already and was not given it.
    pub(crate) tried: Vec<Ticket>,
}

/// Number of a waiter; the lower, the longer it waits.
pub(crate) type Ticket = u64;

impl Wake {
    pub(crate) fn new(platform: PlatformName) -> Self {
        Self { platform, tried: Vec::new() }
    }
}

/// All waiters.
#[derive(Default)]
pub(crate) struct Waiting {
    list: Mutex<List>,
    number: watch::Sender<usize>,
    look: Notify,
}

#[derive(Default)]
struct List {
    last: Ticket,
    waiters: BTreeMap<Ticket, Entry>,
    /// How many of them are not busy.
    waiting: usize,
}

struct Entry {
    builder: BuilderId,
    serves: Vec<PlatformName>,
    /// It is looking into the queue just now.
    busy: bool,
    /// What it has been woken for and not yet looked after.
    rung: Vec<Wake>,
    bell: Arc<Notify>,
}

impl Entry {
    fn idle(&self) -> bool {
        !self.busy && self.rung.is_empty()
    }

    fn ring(&mut self, wake: Wake) {
        self.rung.push(wake);
        self.bell.notify_one();
    }
}

impl List {
    fn set_busy(&mut self, ticket: Ticket, busy: bool) {
        let Some(entry) = self.waiters.get_mut(&ticket).filter(|entry| entry.busy != busy) else { return };
        entry.busy = busy;
        if busy {
            self.waiting -= 1;
        } else {
            self.waiting += 1;
        }
    }

    /// Takes what a waiter was woken for; if it was, it is busy.
    fn answer(&mut self, ticket: Ticket) -> Vec<Wake> {
        let rung = self.waiters.get_mut(&ticket).map(|entry| std::mem::take(&mut entry.rung)).unwrap_or_default();
        if !rung.is_empty() {
            self.set_busy(ticket, true);
        }
        rung
    }
}

impl Waiting {
    /// Joins those who wait. It is taken to be busy until it first waits.
    pub(crate) fn join(&self, builder: BuilderId, serves: Vec<PlatformName>) -> Waiter<'_> {
        let bell = Arc::new(Notify::new());
        let entry = Entry { builder, serves, busy: true, rung: Vec::new(), bell: Arc::clone(&bell) };
        let mut list = self.list();
        list.last += 1;
        let ticket = list.last;
        list.waiters.insert(ticket, entry);
        Waiter { waiting: self, ticket, bell }
    }

    /// Wakes who has been idle for the longest time of those who serve the platform. False: nobody was left to wake.
    pub(crate) fn wake(&self, wake: Wake) -> bool {
        let mut list = self.list();
        let fit = |(ticket, entry): &(&Ticket, &mut Entry)| {
            entry.serves.contains(&wake.platform) && !wake.tried.contains(ticket)
        };
        if let Some((_, entry)) = list.waiters.iter_mut().filter(fit).find(|(_, entry)| entry.idle()) {
            entry.ring(wake);
            return true;
        }
        // All of them are looking already, but perhaps looked too early: one looks again.
        if let Some((_, entry)) = list.waiters.iter_mut().find(fit) {
            if !entry.rung.iter().any(|other| other.platform == wake.platform) {
                entry.ring(wake);
            }
            return false;
        }
        // Perhaps somebody serves it by now: the platform is new, or a builder was enabled.
        if wake.tried.is_empty() && !list.waiters.is_empty() {
            self.look.notify_one();
        }
        false
    }

    /// Whether somebody waits for tasks of one of these platforms.
    pub(crate) fn anybody_for(&self, platforms: &[PlatformName]) -> bool {
        self.list().waiters.values().any(|entry| entry.serves.iter().any(|name| platforms.contains(name)))
    }

    /// Who waits.
    pub(crate) fn builders(&self) -> Vec<BuilderId> {
        let builders: BTreeSet<_> = self.list().waiters.values().map(|entry| entry.builder).collect();
        builders.into_iter().collect()
    }

    /// What builders serve may have changed since they came.
    pub(crate) fn learn(&self, serve: &HashMap<BuilderId, Vec<PlatformName>>) {
        for entry in self.list().waiters.values_mut() {
            if let Some(platforms) = serve.get(&entry.builder) {
                entry.serves.clone_from(platforms);
            }
        }
    }

    /// All platforms that somebody waits for, and how many wait.
    pub(crate) fn platforms(&self) -> (Vec<PlatformName>, u32) {
        let list = self.list();
        let platforms: BTreeSet<_> = list.waiters.values().flat_map(|entry| &entry.serves).cloned().collect();
        (platforms.into_iter().collect(), u32::try_from(list.waiters.len()).unwrap_or(u32::MAX))
    }

    /// Has the queue looked through soon.
    pub(crate) fn ask_for_look(&self) {
        self.look.notify_one();
    }

    /// Waits until somebody asks for a look.
    pub(crate) async fn look_asked_for(&self) {
        self.look.notified().await;
    }

    /// How many wait and are not looking just now, as it changes.
    pub(crate) fn number(&self) -> watch::Receiver<usize> {
        self.number.subscribe()
    }

    fn count(&self) {
        // Sent under the lock, so that the last number is the right one.
        let list = self.list();
        self.number.send_replace(list.waiting);
        metrics::gauge!("farm_hub_waiters").set(u32::try_from(list.waiting).unwrap_or(u32::MAX));
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait. Leaving it hands on what it was woken for and did not look after.
pub(crate) struct Waiter<'a> {
    waiting: &'a Waiting,
    ticket: Ticket,
    bell: Arc<Notify>,
}

impl Waiter<'_> {
    /// Its number.
    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Waits to be woken, and answers what for. From then on it is busy until it waits again.
    pub(crate) async fn woken(&self) -> Vec<Wake> {
        self.waiting.list().set_busy(self.ticket, false);
        self.waiting.count();
        loop {
            self.bell.notified().await;
            let rung = self.waiting.list().answer(self.ticket);
            if !rung.is_empty() {
                self.waiting.count();
                return rung;
            }
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let left = {
            let mut list = self.waiting.list();
            list.set_busy(self.ticket, true);
            list.waiters.remove(&self.ticket)
        };
        self.waiting.count();
        for wake in left.into_iter().flat_map(|entry| entry.rung) {
            self.waiting.wake(wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn platform(name: &str) -> PlatformName {
        name.parse().unwrap()
    }

    fn wake(name: &str) -> Wake {
        Wake::new(platform(name))
    }

    fn idle<'a>(waiting: &'a Waiting, builder: i32, serves: &[&str]) -> Waiter<'a> {
        let waiter = waiting.join(BuilderId(builder), serves.iter().map(|name| platform(name)).collect());
        assert_eq!(waiter.woken().now_or_never(), None);
        waiter
    }

    #[test]
    fn the_longest_idle_that_serves_the_platform_is_woken_and_nobody_else() {
        let waiting = Waiting::default();
        let other = idle(&waiting, 1, &["a-x86_64"]);
        let oldest = idle(&waiting, 2, &["b-x86_64"]);
        let newest = idle(&waiting, 3, &["b-x86_64", "a-x86_64"]);
        assert!(waiting.wake(wake("b-x86_64")));
        assert_eq!(other.woken().now_or_never(), None);
        assert_eq!(newest.woken().now_or_never(), None);
        assert_eq!(oldest.woken().now_or_never(), Some(vec![wake("b-x86_64")]));
    }

    #[test]
    fn a_waiter_that_leaves_hands_its_wake_up_on() {
        let waiting = Waiting::default();
        let (first, second) = (idle(&waiting, 1, &["a-x86_64"]), idle(&waiting, 2, &["a-x86_64"]));
        assert!(waiting.wake(wake("a-x86_64")));
        drop(first);
        assert_eq!(second.woken().now_or_never(), Some(vec![wake("a-x86_64")]));
    }

    #[test]
    fn who_is_looking_already_looks_once_more_when_something_new_comes_meanwhile() {
        let waiting = Waiting::default();
        let waiter = waiting.join(BuilderId(1), vec![platform("a-x86_64")]);
        assert!(!waiting.wake(wake("a-x86_64")));
        assert!(!waiting.wake(wake("a-x86_64")));
        assert_eq!(waiter.woken().now_or_never(), Some(vec![wake("a-x86_64")]));
        assert_eq!(waiter.woken().now_or_never(), None);
    }

    #[test]
    fn who_was_not_given_the_task_is_not_woken_for_it_again() {
        let waiting = Waiting::default();
        let (first, second) = (idle(&waiting, 1, &["a-x86_64"]), idle(&waiting, 2, &["a-x86_64"]));
        let tried = Wake { tried: vec![first.ticket()], ..wake("a-x86_64") };
        assert!(waiting.wake(tried.clone()));
        assert_eq!(second.woken().now_or_never(), Some(vec![tried]));
        let tried = Wake { tried: vec![first.ticket(), second.ticket()], ..wake("a-x86_64") };
        assert!(!waiting.wake(tried));
    }

    #[test]
    fn a_platform_that_nobody_is_known_to_serve_asks_for_a_look() {
        let waiting = Waiting::default();
        let waiter = idle(&waiting, 1, &["a-x86_64"]);
        assert!(!waiting.wake(wake("new-x86_64")));
        assert_eq!(waiting.look_asked_for().now_or_never(), Some(()));
        waiting.learn(&HashMap::from([(BuilderId(1), vec![platform("new-x86_64")])]));
        assert!(waiting.wake(wake("new-x86_64")));
        assert_eq!(waiter.woken().now_or_never(), Some(vec![wake("new-x86_64")]));
    }
}
