//! The calls, a file each.

pub(crate) mod blobs;
pub(crate) mod buckets;
pub(crate) mod claim;
pub(crate) mod finish;
pub(crate) mod hello;
pub(crate) mod leave;
pub(crate) mod log;
pub(crate) mod release;
pub(crate) mod renew;
pub(crate) mod sources;
pub(crate) mod stage;
pub(crate) mod status;
pub(crate) mod token;

use std::time::Duration;

/// The longest that a call waits for something to happen.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a call waits that asks for so many seconds.
fn wait(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into()).min(LONGEST_WAIT)
}
