//! The verbs on a real database, a clone for each test; and what is true of the schema as a whole.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod after;
mod audit_months;
mod batch;
mod batches;
mod demand;
mod faults;
mod fence;
mod fleets;
mod intake;
mod life;
mod listen;
mod order;
mod pool;
mod races;
mod restore;
mod roles;
mod schema;
mod set_aside;
mod spare;
mod support;
mod transitions;
mod why;
