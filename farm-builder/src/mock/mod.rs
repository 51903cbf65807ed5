//! The mock driver: drives an installed [mock](https://rpm-software-management.github.io/mock/), for sites that have configurations
//! for it.
//!
//! The chroot is made from mock's own configuration, not from the platform's recipe, and its isolation is the one that mock has. The
//! driver says in each log which that is, and refuses to build where it would have to pretend.
//!
//! mock writes three logs while it runs: `state.log` says in which phase it is, `root.log` what happens to the chroot, `build.log`
//! what rpmbuild prints. The driver follows all three, keeps its own clocks, and decides by exit code and logs what the end means.

mod asked;
mod attempt;
mod caches;
mod config;
mod driver;
mod host;
mod isolation;
mod logs;
mod manifest;
mod phase;
mod process;
#[cfg(test)]
mod recorded;
mod repository;
mod source;
mod verdict;

pub use config::{IsolationChoice, MockConfig};
pub use driver::MockDriver;
pub use isolation::{Isolation, Means};
