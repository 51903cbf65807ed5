//! All SQL of the farm.
//!
//! - [`intake`]: submit → accept | reject; [`queue`]: claim → renew* → finish | release | cancel, and reap;
//! - [`publish`]: what has to be in which repository, and that it is;
//! - [`read`]: what people see, as the types of [`farm_api::people`], so that page, JSON and command line show the same;
//! - [`blobs`], [`operator`], [`health`]: uploads and blobs; platforms, builders and buckets; whether all is well;
//! - [`invariants`]: what is true of every database of the farm;
//! - [`Pool`] and [`Listener`]: the only places where waiting for the database meets async code.
//!
//! Every transition is a function of the database (`migrations/`), one short transaction, and checks what it changed.
//! A verb here calls one of them: `fn(&mut PgConnection, …) -> Result<…, DbError>`.
//!
//! Errors: [`DbError`] tells expected refusals (`NotFound`, `Conflict`, `LeaseLost`) from a database that cannot be
//! reached (`Unavailable`, try again) and from mistakes of ours (`Sql`, `Data`).

pub mod blobs;
mod document;
mod error;
pub mod health;
pub mod intake;
pub mod invariants;
mod listen;
pub mod migrate;
pub mod operator;
pub mod pool;
pub mod publish;
pub mod queue;
pub mod read;
#[cfg(feature = "testing")]
pub mod testing;

pub use diesel::PgConnection;
pub use error::{DbError, Result};
pub use listen::{Channel, Heard, Listener, Notification, listen};
pub use pool::Pool;
