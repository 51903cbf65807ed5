//! HTTP for daemons: where to listen, how to serve, and what a monitoring system asks.

mod address;
mod health;
mod listener;
mod serve;
mod trace;

pub use address::{Address, ParseAddressError};
pub use health::health_routes;
pub use listener::{HttpConfig, Listener, Peer};
pub use serve::{serve, serve_health};
pub use trace::RequestId;
