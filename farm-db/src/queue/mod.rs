//! claim → renew* → finish | release | cancel, and reap.
//!
//! ```text
//!             accept                claim                  finish
//! (waiting) ─────────► pending ───────────────► leased ─────────────► succeeded | failed
//!                         ▲                        │
//!                         └── release, reap, farm fault (at most three of them, and three losses; then failed)
//!                                cancel, from everywhere ──► cancelled
//! ```
//!
//! What a hub does for many builders at once has a verb for many: `claim_keys`, `renew_all`, `finish_all`, `presence`.
//!
//! Every write of a builder proves its lease: task, attempt number and secret token, compared in the same statement
//! that writes. Whoever deletes the lease row ends the attempt, so of finish, release, cancel and reap exactly one wins.

mod built_with;
mod claim;
mod dispatch;
mod finish;
mod lease;
mod life;
mod people;
mod seal;

pub use claim::{ClaimedTask, Pick, claim, claim_keys, hello};
pub use dispatch::{Lane, Place, Presence, Ready, ReadyKey, presence, ready_keys, ready_keys_after};
pub use finish::{deliver, finish, finish_all, has_delivered, reap, release};
pub use lease::{LeasedBucket, append_log, bucket, gone, held, like, package, renew, renew_all, source, stage_began};
pub use life::{deregister, leave, pulse, saves_slots, slots_of, tell_status, tell_statuses};
pub use people::{cancel_job, retry_job};
pub use seal::{UnsealedLog, expect_log, seal_log, unsealed_logs};
