//! The daemon: claims tasks from the hub, lets a driver build them, and brings back what came of it.
//!
//! - [`mod@run`]: the parts, from hello to the end; [`work`]: the claim loop, draining, handing over;
//! - [`slots`]: how many tasks at once; [`standing`] and [`thresholds`]: whether any are taken at all;
//! - [`handover`]: a successor that takes over while builds go on;
//! - [`assignment`]: one claimed task, from its sources to its end;
//! - [`board`]: what is held, its renewal, and orders to stop;
//! - [`courier`]: stages and log on their way to the hub;
//! - [`delivery`]: results on their way to the hub;
//! - [`arches`]: what this host can build for;
//! - [`extras`], [`relay`]: repositories that a build has beside its platform's;
//! - [`hub`]: the calls, and which failures are worth another try.

mod arches;
mod assignment;
mod board;
mod config;
mod courier;
mod delivery;
mod extras;
mod handover;
mod hub;
mod limits;
mod numbers;
mod relay;
mod run;
mod slots;
mod sources;
mod spool;
mod standing;
mod thresholds;
mod work;

pub use config::{Config, Hubs};
pub use run::{run, run_with};
