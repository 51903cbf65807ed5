//! A farm of more than one machine: its database fails over or is set back, its hosts are cut off and come back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod builder;
mod failover;
mod farm;
mod hosts;
mod late;
mod layout;
mod network;
mod restore;
