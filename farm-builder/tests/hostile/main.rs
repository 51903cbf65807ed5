//! Source packages that mean harm, built by the real driver. Each ends with the cause that it deserves; the host is as before, nothing
//! of it is left, and the next build on the same driver succeeds. The packages are in `specs/`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../common/mod.rs"]
mod common;
mod endless;
mod escapes;
mod network;
mod parsing;
mod resources;
mod results;
mod scriptlets;
mod support;
