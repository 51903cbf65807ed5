//! The proof that a builder holds a task.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AttemptNumber, TaskId};

/// The secret of a lease. Its `Debug` shows nothing, so that it cannot get into a log by accident.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseToken(pub Uuid);

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseToken(…)")
    }
}

/// Everything that proves a lease: which task, which attempt at it, and the secret. As text, in the HTTP header
/// `Farm-Lease`: `task/attempt/token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseKey {
    /// The task.
    pub task: TaskId,
    /// The attempt; grows with every claim of the task.
    pub attempt: AttemptNumber,
    /// The secret.
    pub token: LeaseToken,
}

impl LeaseKey {
    /// The text that goes into the header `Farm-Lease`.
    pub fn to_header(&self) -> String {
        format!("{}/{}/{}", self.task, self.attempt, self.token.0)
    }
}

/// A text that is no lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a lease: it takes task/attempt/token")]
pub struct ParseLeaseError;

impl FromStr for LeaseKey {
    type Err = ParseLeaseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let (Some(task), Some(attempt), Some(token), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseLeaseError);
        };
        Ok(Self {
            task: task.parse().map_err(|_| ParseLeaseError)?,
            attempt: attempt.parse().map_err(|_| ParseLeaseError)?,
            token: LeaseToken(token.parse().map_err(|_| ParseLeaseError)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_goes_through_a_header_unchanged_and_never_shows_its_secret() {
        let key = LeaseKey { task: TaskId(7), attempt: AttemptNumber(2), token: LeaseToken(Uuid::from_u128(5)) };
        assert_eq!(key.to_header().parse(), Ok(key));
        assert!(!format!("{key:?}").contains("0000"));
        assert_eq!("7/2".parse::<LeaseKey>(), Err(ParseLeaseError));
    }
}
