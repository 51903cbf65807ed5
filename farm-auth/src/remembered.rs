//! What was found out a moment ago, so that it need not be asked for with every request.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// For so long, should a notification get lost, unless said otherwise.
const REMEMBER: Duration = Duration::from_secs(10);
/// More are not remembered: whoever has so many asks for some of them each time.
const MOST: usize = 50_000;

/// Answers that were true a moment ago. All are forgotten when it is told that something has changed; while nothing is heard of
/// changes, nothing is remembered. Clones share what they remember.
#[derive(Debug)]
pub struct Remembered<K, V>(Arc<Mutex<Inner<K, V>>>);

#[derive(Debug)]
struct Inner<K, V> {
    lasts: Duration,
    hearing: bool,
    /// Grows with each change, so that an answer that was asked for before is not remembered after.
    changes: u64,
    answers: HashMap<K, (V, Instant)>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self::lasting(REMEMBER)
    }
}

impl<K, V> Clone for Remembered<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Remembered<K, V> {
    /// Answers that are remembered for so long at the most.
    pub fn lasting(lasts: Duration) -> Self {
        Self(Arc::new(Mutex::new(Inner { lasts, hearing: false, changes: 0, answers: HashMap::new() })))
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// The answer, if it is remembered; else what [`put`](Self::put) wants.
    pub fn get(&self, key: &K) -> Result<V, u64> {
        let inner = self.lock();
        match inner.answers.get(key) {
            Some((answer, since)) if since.elapsed() < inner.lasts => Ok(answer.clone()),
            _ => Err(inner.changes),
        }
    }

    /// Remembers, unless something changed since [`get`](Self::get).
    pub fn put(&self, key: K, answer: V, changes: u64) {
        let mut inner = self.lock();
        if !inner.hearing || inner.changes != changes {
            return;
        }
        if inner.answers.len() >= MOST {
            let lasts = inner.lasts;
            inner.answers.retain(|_, (_, since)| since.elapsed() < lasts);
        }
        if inner.answers.len() < MOST {
            inner.answers.insert(key, (answer, Instant::now()));
        }
    }

    /// Something has changed.
    pub fn forget(&self) {
        let mut inner = self.lock();
        inner.changes += 1;
        inner.answers.clear();
    }

    /// Whether changes are heard of from now on.
    pub fn hears(&self, hearing: bool) {
        self.lock().hearing = hearing;
        self.forget();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_remembered_until_something_changes() {
        let remembered = Remembered::default();
        remembered.hears(true);
        let changes = remembered.get(&"token").unwrap_err();
        remembered.put("token", "alice", changes);
        assert_eq!(remembered.clone().get(&"token"), Ok("alice"));
        remembered.forget();
        let changes = remembered.get(&"token").unwrap_err();
        remembered.forget();
        remembered.put("token", "alice", changes);
        assert!(remembered.get(&"token").is_err(), "an answer from before the change was remembered");
    }

    #[test]
    fn nothing_is_remembered_while_changes_are_not_heard_of() {
        let remembered = Remembered::default();
        let changes = remembered.get(&"token").unwrap_err();
        remembered.put("token", "alice", changes);
        assert!(remembered.get(&"token").is_err());
        remembered.hears(true);
        let changes = remembered.get(&"token").unwrap_err();
        remembered.put("token", "alice", changes);
        remembered.hears(false);
        assert!(remembered.get(&"token").is_err());
    }
}
