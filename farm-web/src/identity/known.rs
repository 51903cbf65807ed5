//! Who comes with a token, remembered for a moment: the database is asked once, and not for each of a page's requests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use farm_db::access::TokenBearer;
use farm_types::Digest;
use jiff::Timestamp;

/// For so long, should a notification get lost.
const REMEMBER: Duration = Duration::from_secs(10);
/// More are not remembered: whoever has so many tokens asks the database for some of them each time.
const MOST: usize = 10_000;

/// Tokens that were good a moment ago, by their digests. All are forgotten when the database tells that something about access
/// has changed; while nothing is heard from it, nothing is remembered.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    hearing: bool,
    /// Grows with each change, so that an answer that was asked for before is not remembered after.
    changes: u64,
    tokens: HashMap<Digest, (TokenBearer, Instant)>,
}

impl Known {
    /// Who has the token, if that is remembered; else what [`put`](Self::put) wants.
    pub fn get(&self, token: &Digest) -> Result<TokenBearer, u64> {
        let inner = self.lock();
        match inner.tokens.get(token) {
            Some((bearer, since)) if since.elapsed() < REMEMBER && bearer.expires > Timestamp::now() => {
                Ok(bearer.clone())
            }
            _ => Err(inner.changes),
        }
    }

    /// Remembers, unless something changed since [`get`](Self::get).
    pub fn put(&self, token: Digest, bearer: TokenBearer, changes: u64) {
        let mut inner = self.lock();
        if !inner.hearing || inner.changes != changes {
            return;
        }
        if inner.tokens.len() >= MOST {
            inner.tokens.retain(|_, (_, since)| since.elapsed() < REMEMBER);
        }
        if inner.tokens.len() < MOST {
            inner.tokens.insert(token, (bearer, Instant::now()));
        }
    }

    /// Something about access has changed.
    pub fn forget(&self) {
        let mut inner = self.lock();
        inner.changes += 1;
        inner.tokens.clear();
    }

    /// Whether changes are heard of from now on.
    pub fn hears(&self, hearing: bool) {
        self.lock().hearing = hearing;
        self.forget();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use farm_db::access::KnownPerson;
    use farm_types::{PersonId, TokenKind};

    use super::*;

    fn bearer() -> TokenBearer {
        let expires = Timestamp::now() + Duration::from_secs(60);
        let known = KnownPerson { person: PersonId(1), principal: "alice".to_owned() };
        TokenBearer { known, kind: TokenKind::Api, scopes: Vec::new(), expires, derived: false }
    }

    #[test]
    fn a_token_is_remembered_until_something_changes() {
        let (known, token) = (Known::default(), Digest::from_bytes([1; 32]));
        known.hears(true);
        let changes = known.get(&token).unwrap_err();
        known.put(token, bearer(), changes);
        assert!(known.get(&token).is_ok());
        known.forget();
        let changes = known.get(&token).unwrap_err();
        known.forget();
        known.put(token, bearer(), changes);
        assert!(known.get(&token).is_err(), "an answer from before the change was remembered");
    }

    #[test]
    fn nothing_is_remembered_while_changes_are_not_heard_of() {
        let (known, token) = (Known::default(), Digest::from_bytes([1; 32]));
        let changes = known.get(&token).unwrap_err();
        known.put(token, bearer(), changes);
        assert!(known.get(&token).is_err());
    }
}
