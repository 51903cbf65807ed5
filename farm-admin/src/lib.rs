//! The operator's tool.
//!
//! - [`up`]: the whole farm in one process tree, with a private PostgreSQL: for a laptop, a demonstration, a small site;
//! - [`commands`]: what an operator does to a running farm: schema, platforms, builders, persons and their rights;
//! - [`daemons`]: the daemons that `up` starts, each a process of this same program.

mod cli;
mod commands;
mod daemons;
mod farm;
mod output;
mod up;

pub use cli::main;
