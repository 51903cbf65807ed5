//! Decides on submitted jobs.
//!
//! Any number of validators work side by side: each takes one submitted job by its row lock ([`farm_db::intake`]), reads
//! every source from the store ([`source`]), and decides on all of them at once ([`decide`]): tasks for all platforms in
//! one transaction, or a rejection with every reason. A fault of the farm leaves the job submitted for another try, and so
//! does a validator that dies: the lock goes with its connection.

mod config;
mod daemon;
mod decide;
mod source;

pub use config::Config;
pub use daemon::run;
