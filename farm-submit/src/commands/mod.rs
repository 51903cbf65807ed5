//! What each command does.

pub mod change;
pub mod completions;
pub mod download;
pub mod farm;
pub mod list;
pub mod logs;
pub mod rebuild;
pub mod show;
pub mod submit;
pub mod token;
pub mod watch;
pub mod whoami;
pub mod why;
