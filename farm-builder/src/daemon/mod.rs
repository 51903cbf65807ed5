//! The daemon: claims tasks from the hub, lets a driver build them, and brings back what came of it.
//!
//! - [`mod@run`]: slots, the claim loop, draining;
//! - [`assignment`]: one claimed task, from its sources to its end;
//! - [`board`]: what is held, its renewal, and orders to stop;
//! - [`courier`]: stages and log on their way to the hub;
//! - [`delivery`]: results on their way to the hub;
//! - [`arches`]: what this host can build for;
//! - [`extras`], [`relay`]: repositories that a build has beside its platform's;
//! - [`room`]: no claims while the disk is full;
//! - [`hub`]: the calls, and which failures are worth another try.

mod arches;
mod assignment;
mod board;
mod config;
mod courier;
mod delivery;
mod extras;
mod hub;
mod numbers;
mod relay;
mod room;
mod run;
mod sources;

pub use config::Config;
pub use run::{run, run_with};
