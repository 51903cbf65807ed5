//! `farm-admin up`: the whole farm in one process tree.
//!
//! ```text
//! farm-admin up ─┬─ PostgreSQL (private, unix socket)
//!                ├─ farm-admin run validator │ janitor │ publisher │ hub │ web │ builder
//!                └─ …each restarted when it fails, each gone when `up` is gone, however that ended
//! ```
//!
//! The daemons are those of a large farm, with the same roles and configuration files; only where they live differs.

mod child;
mod configs;
mod flow;
mod layout;
mod postgres;

pub(crate) use flow::{UpArgs, run};
pub(crate) use layout::Layout;
