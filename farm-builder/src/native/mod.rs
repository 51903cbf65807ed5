//! The native driver: a read-only base tree per platform, a read-only layer per set of dependencies over it, an overlay per build,
//! bubblewrap, dnf.
//!
//! The daemon itself never enters a chroot. Each step runs in a helper process ([`crate::sandbox`]) under ids that belong to nobody on
//! the host; the daemon decides what comes next, watches the clocks, and reads what comes out.

pub(crate) mod asked;
mod attempt;
mod cell;
pub(crate) mod dependencies;
mod driver;
pub(crate) mod excerpt;
pub(crate) mod failure;
pub(crate) mod files;
mod helper;
mod holder;
mod ids;
mod inventory;
mod layers;
mod like;
mod lineup;
pub(crate) mod locks;
mod needs;
mod numbers;
mod probe;
mod recipe;
pub(crate) mod record;
pub(crate) mod results;
mod source;
mod spare;
mod stock;
mod trees;
pub(crate) mod watch;

pub use cell::ScratchPlace;
pub use driver::{NativeConfig, NativeDriver};
pub use ids::{IdMap, NoIds};
pub use stock::Room;
