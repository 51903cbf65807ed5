//! The verbs on a real database, a clone for each test; and what is true of the schema as a whole.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod after;
mod batch;
mod batches;
mod faults;
mod fence;
mod intake;
mod life;
mod listen;
mod order;
mod races;
mod roles;
mod schema;
mod support;
mod transitions;
