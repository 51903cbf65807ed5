//! Builds packages.
//!
//! A *driver* makes a chroot and builds in it, see [`Driver`]; [`native`] is the default one. It knows nothing of hubs and queues, so it
//! can be used and tested by itself.

pub mod driver;
pub mod native;
pub mod sandbox;

pub use driver::{
    BuildEvent, BuildLimits, BuildOutcome, BuildReport, BuildRequest, BuiltFile, Driver, DriverError, EventSink,
    Failure,
};
pub use native::{NativeConfig, NativeDriver};
