//! The operator's tool as an operator meets it: real processes, a real database, real platforms.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod audit;
mod doctor;
mod janitor;
mod limits;
mod operator;
mod selftest;
mod support;
mod tokens;
mod up;
