//! The hub: what builders call. It hands out tasks, renews leases, and takes logs and artifacts.
//!
//! - [`Config`] and [`run`]: the daemon; [`Server`]: the same in two steps;
//! - `calls`: a file per call of [`farm_api::hub`], the table of them in [`routes`];
//! - `dispatch`: builders that wait for a task, and who of them is given which; `listen`: what it hears of the database;
//! - `batches`: what is asked of the database for many builders at once;
//! - `handout`: tasks on their way to a builder, which go back to the queue if it does not get them;
//! - `pulse`: the sign that a hub is there, without which no lease runs out;
//! - `caller`: who calls, and with which lease; `error`: how a call is refused.
//!
//! The hub keeps nothing: a builder may call any hub at any time, and every write proves its lease in the database.

mod batches;
mod caller;
mod calls;
mod config;
mod dispatch;
mod error;
mod handout;
mod hub;
mod listen;
mod orders;
mod pulse;
mod routes;
mod run;

pub use config::Config;
pub use routes::routes;
pub use run::{Server, run};
