//! HTTP for daemons: where to listen, how to serve, and what a monitoring system asks.

mod address;
mod admission;
mod client;
mod config;
mod health;
mod listener;
mod serve;
mod tls;
mod trace;

pub use address::{Address, ParseAddressError};
pub use admission::{Gate, Place, Refused, admit, retry_after};
pub use client::ClientAddress;
pub use config::HttpConfig;
pub use health::{HEALTH_ROUTES, health_routes};
pub use listener::{Listener, Peer};
pub use serve::{serve, serve_health};
pub use tls::TlsConfig;
pub use trace::RequestId;
