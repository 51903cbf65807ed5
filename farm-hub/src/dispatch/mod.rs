//! The dispatcher: who of the builders that wait is given which task.
//!
//! ```text
//!  claims of builders ──► waiters ─┐                       ┌─► claims: by key, in batches ──► PostgreSQL decides
//!                                  ├─► matching: a round ──┤
//!  notifications, looks ─► memory ─┘                       └─► careful: a builder looks itself (heavy tasks)
//! ```
//!
//! - `keys`, `memory`: the tasks that can be claimed, as far as they are known here. A hint: bounded, perhaps out of date.
//! - `waiters`: builders that wait, what each serves, and whose turn it is.
//! - `matching`: the best task to whoever has been without work for the longest time. These four know no database and no clock.
//! - `desk`: all of that under one lock; where claims wait.
//! - `claims`: what was matched is claimed. What the database does not give is forgotten, and who got nothing is matched again.
//! - `run`: the loops. Any number of hubs do this side by side, and each may be killed at any moment.

mod claims;
mod desk;
mod keys;
mod matching;
mod memory;
mod run;
mod waiters;

pub(crate) use claims::look;
pub(crate) use desk::Desk;
pub(crate) use run::{ask_about_builders, dispatch, look_for_tasks};
