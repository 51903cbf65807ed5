//! Control groups: what bounds all processes of a build together, and knows what they used.
//!
//! Each build has a group of its own; the daemon, who watches, is never in one of them. There are two kinds, which a host has one
//! or the other of: version 2, of which the service manager gives this service a part (`Delegate=yes`), and the older version 1,
//! whose folders only root may make. [`Cgroups::find`] says what can be had here, and why not more.

mod files;
mod find;
mod group;
#[cfg(test)]
mod tests;

use group::Controller;
pub use group::{Cgroup, Cgroups, Entrance, GroupLimits, Kind, remove};
