//! Keeps the farm clean.
//!
//! Each chore is a file in [`chores`] with one function, `run_once`, that does a bounded piece of work and reports what it
//! did; the loop around it ([`run()`]) is dumb. Any number of janitors may run: each chore is done by one of them at a time, who writes
//! that down in `farm.chore` with the database's clock, so that another goes on when that one is killed or stopped. That is to
//! spare work and nothing more: any chore may be done twice at the same time. What operators are told by mail goes through [`MailConfig`].

pub mod chores;
mod config;
mod daemon;
mod mail;

pub use config::{Chores, Config};
pub use daemon::{run, run_chore};
pub use mail::{MailConfig, Security};
