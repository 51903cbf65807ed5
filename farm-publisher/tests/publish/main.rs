//! The publisher as a process, on a real database, a real store, real createrepo_c, and read by real dnf.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dnf;
mod farm;

mod kills;
mod publishing;
mod trouble;
