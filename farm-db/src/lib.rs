//! All SQL of the farm.
//!
//! - [`intake`]: submit → accept | reject; [`queue`]: claim → renew* → finish | release | cancel, and reap;
//! - [`publish`]: what has to be in which repository, and that it is;
//! - [`read`]: what people see, as the types of [`farm_api::people`], so that page, JSON and command line show the same;
//! - [`access`]: who it is, and what was written down; [`operator`]: platforms, builders, buckets, persons, groups, rights;
//! - [`blobs`], [`health`]: uploads and blobs; whether all is well;
//! - [`chores`], [`notices`], [`database`]: what the janitor does; what operators are told; how the database itself is;
//! - [`demand`]: what waits for each platform, for whoever starts and stops builders;
//! - [`restore`]: after the database or the store was set back;
//! - [`invariants`]: what is true of every database of the farm;
//! - [`Pool`], [`Batch`] and [`Listener`]: the only places where waiting for the database meets async code.
//!
//! Every transition is a function of the database (`migrations/`), one short transaction, and checks what it changed.
//! A verb here calls one of them: `fn(&mut PgConnection, …) -> Result<…, DbError>`.
//!
//! A verb that changes something for somebody wants an [`Actor`], one that shows what not everybody may see a [`Viewer`].
//!
//! Errors: [`DbError`] tells expected refusals (`NotFound`, `Conflict`, `Forbidden`, `Limit`, `LeaseLost`) from a database that cannot be
//! reached or has too much to do (`Unavailable`, `Busy`: try again) and from mistakes of ours (`Sql`, `Data`).

pub mod access;
mod actor;
mod batch;
pub mod blobs;
mod call;
pub mod chores;
mod conninfo;
pub mod database;
pub mod demand;
mod document;
mod error;
pub mod fleets;
pub mod health;
pub mod intake;
mod introduce;
pub mod invariants;
mod listen;
pub mod migrate;
pub mod notices;
pub mod operator;
pub mod pool;
pub mod publish;
pub mod queue;
pub mod read;
pub mod restore;
#[cfg(feature = "testing")]
pub mod testing;

pub use actor::{Actor, Viewer};
pub use batch::{Batch, Bounds};
pub use diesel::PgConnection;
pub use error::{DbError, Result};
pub use introduce::{Introduction, IntroductionError, introduce, libpq_knows_gss};
pub use listen::{Channel, Heard, Listener, Notification, listen};
pub use pool::Pool;
