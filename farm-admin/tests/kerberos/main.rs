//! A farm with Kerberos as an administrator sets it up: principals, samples, and what the doctor says of mistakes. A real KDC, a
//! real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod database;
mod mistakes;
mod postgres;
mod principals;
mod samples;
mod support;
