//! For tests only: days of a farm in minutes.
//!
//! What is decided is decided by the real functions in a real PostgreSQL: submit, accept, claim, finish. What is left out is the building:
//! time is a number that jumps from one event to the next, and a task that is claimed takes as long as the [`Plan`] says. So what
//! [`simulate`] answers is what the queue does to people, whatever the speed of this machine.
//!
//! A crate of its own, because both tests and a bench run it, and farm-db must not depend on what draws random numbers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod day;
mod plan;
mod report;
mod simulation;

pub use day::{Day, day_of_fedora};
pub use plan::{BuilderPlan, Plan, Submission, When};
pub use report::{Given, Percentiles, bound, build_time, given, makespan, waits};
pub use simulation::{Built, simulate};
