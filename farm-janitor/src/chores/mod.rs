//! The chores.

pub mod reap;
pub mod seal_logs;
pub mod tokens;
pub mod uploads;

use farm_db::Pool;
use farm_store::Store;

use crate::Config;

/// What every chore works with.
#[derive(Clone)]
pub struct Tools {
    /// The database.
    pub pool: Pool,
    /// The blobs.
    pub store: Store,
    /// The limits and times that the operator set.
    pub config: Config,
}

/// What a chore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// How many things it dealt with.
    pub done: u64,
    /// Whether there may be more to do at once.
    pub more: bool,
}
