//! The native driver: a read-only base tree per platform, an overlay per build, bubblewrap, dnf.
//!
//! The daemon itself never enters a chroot. Each step runs in a helper process ([`crate::sandbox`]) under ids that belong to nobody on
//! the host; the daemon decides what comes next, watches the clocks, and reads what comes out.

mod asked;
mod attempt;
mod dependencies;
mod driver;
mod excerpt;
mod failure;
mod files;
mod helper;
mod ids;
mod lineup;
mod needs;
mod recipe;
mod results;
mod source;
mod trees;
mod watch;

pub use driver::{NativeConfig, NativeDriver};
pub use ids::{IdMap, NoIds};
