//! The farm in a Kerberos realm: a real KDC, a PostgreSQL that lets in who has a ticket, the real daemons and tools, curl and a
//! browser.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod browser;
#[path = "../../../farm-web/tests/web/chrome.rs"]
mod chrome;
mod curl;
mod endings;
mod fleet;
mod keys;
mod path;
mod people;
mod processes;
mod renewals;
mod site;
mod tls;
mod wire;
