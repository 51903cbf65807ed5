//! Keeps the farm clean.
//!
//! Each chore is a file in [`chores`] with one function, `run_once`, that does a bounded piece of work and reports what it
//! did; the loop around it ([`daemon`]) is dumb. Any number of janitors may run: a chore is done by whoever holds its
//! advisory lock in that moment.

pub mod chores;
mod config;
mod daemon;

pub use config::Config;
pub use daemon::run;
