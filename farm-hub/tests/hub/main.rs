//! The hub as its builders see it: over HTTP, on a real database.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod access;
mod claims;
mod deliveries;
mod dispatch;
mod leases;
mod life;
mod outages;
mod overload;
mod support;
