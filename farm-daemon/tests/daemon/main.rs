//! Daemons as real processes: their lives, their terminals, their certificates, their tickets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod background;
mod kerberos;
mod process;
mod proxy;
mod signals;
mod support;
mod tls;
