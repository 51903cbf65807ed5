//! Who comes with a token, remembered for a moment: a builder calls several times a second while a log runs.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use farm_db::operator::KnownBuilder;
use farm_types::Digest;

/// A token that was taken back is refused at once, where notifications are heard, and after this time at the latest.
const REMEMBER: Duration = Duration::from_secs(10);

/// Tokens that were good a moment ago, by their digests.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Digest, (KnownBuilder, Instant)>>);

impl Tokens {
    pub(crate) fn get(&self, token: &Digest) -> Option<KnownBuilder> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (builder, since) = known.get(token)?;
        (since.elapsed() < REMEMBER).then(|| builder.clone())
    }

    /// Forgets all of them: who is known has changed.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Remembers a good token, and forgets those that are not used any more.
    pub(crate) fn put(&self, token: Digest, builder: KnownBuilder) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, since)| since.elapsed() < REMEMBER);
        known.insert(token, (builder, Instant::now()));
    }
}
