//! The daemon with a real hub, a real database and real chroots.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod buckets;
mod chains;
#[path = "../common/mod.rs"]
mod common;
mod ends;
mod handover;
mod life;
mod outages;
mod proxy;
mod support;
mod tasks;
