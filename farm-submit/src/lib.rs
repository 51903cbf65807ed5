//! The user's tools: `farm-submit` hands in source packages, `farm` does that and everything else a user does.
//! Both talk to farm-web over HTTP and to nothing else.
//!
//! - [`cli`]: what can be written on the command line;
//! - [`config`]: which server, and who we are there;
//! - [`commands`]: what each command does;
//! - [`show`]: how things look: escaping, sizes, times, columns;
//! - [`exit`]: how a command ends, and with which code.

pub mod cli;
pub mod commands;
pub mod config;
pub mod exit;
pub mod output;
pub mod progress;
pub mod run;
pub mod show;
pub mod sources;
