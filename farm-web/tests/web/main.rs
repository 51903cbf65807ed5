//! farm-web on a real database, a real store and in a real browser.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod access;
mod artifacts;
mod browser;
mod buildroots;
mod chrome;
mod events;
mod farm;
mod jobs;
mod logs;
mod overload;
mod pages;
mod process;
mod refusals;
mod repositories;
mod uploads;
