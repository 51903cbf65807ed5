//! `farm-admin selftest`: a tiny package through the whole farm, and how long each step took.
//!
//! [`package`] makes a source package of our own with a version that no cache has seen; [`flow`] uploads and submits it as
//! any user would, and follows it; [`results`] downloads what was built and looks into it; [`blame`] says which process
//! is to blame where it went wrong; [`report`] is what comes out.

mod blame;
mod flow;
mod package;
mod report;
mod results;

pub(crate) use flow::{SelftestArgs, run};
