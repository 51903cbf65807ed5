//! Builds packages.
//!
//! [`run`] is the daemon: it claims tasks from the hub and hands them to a driver. A *driver* makes a chroot and builds in it, see
//! [`Driver`]; [`native`] is the default one, [`mock`] drives an installed mock. A driver knows nothing of hubs and queues, so it can be used and tested by itself.
//!
//! A program that embeds the builder calls [`sandbox::main`] first of all: it is also the builder's helper.

pub mod cgroup;
mod daemon;
pub mod driver;
pub mod isolation;
pub mod mock;
pub mod native;
pub mod sandbox;

pub use daemon::{Config, Hubs, run, run_with};
pub use driver::{
    BuildEvent, BuildLimits, BuildOutcome, BuildReport, BuildRequest, BuiltFile, Driver, DriverError, EventSink,
    Failure,
};
pub use isolation::{Guard, Isolation};
pub use mock::{MockConfig, MockDriver};
pub use native::{NativeConfig, NativeDriver};
