//! The mock driver: with the mock of this host where there is one, and with a program that stands in for it everywhere.

mod asked;
#[path = "../common/mod.rs"]
mod common;
mod ends;
mod outcomes;
mod real;
mod sites;
