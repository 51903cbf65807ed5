//! Logins by ticket, against a real KDC. Each side is a process with an environment of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accepting;
mod going;
mod side;
