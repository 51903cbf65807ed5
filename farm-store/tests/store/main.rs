//! The store with real parts: folders on a real disk, and a real S3 server on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;
mod conformance;
mod crash;
mod folder;
mod full;
mod s3;
mod s3_server;
