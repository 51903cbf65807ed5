//! farm-web: status pages, the API for people and scripts ([`farm_api::people`]), uploads, live logs.
//!
//! - [`run()`], [`Config`], [`App`] and [`router`]: the process, what it has to know, what requests share, all routes;
//! - `api`: the JSON API, documented in itself at `/api/v1/openapi.json`; `artifacts` and `repositories`: downloads, for people and for dnf;
//! - `buildroot`: what a source was built in, for the API and for a page;
//! - `pages`: the same data for people, made from the same types by the templates in `templates/`;
//! - `log`, [`watch`]: logs as they grow, jobs as they change;
//! - `access`, `identity`, `guard`: who may call what, who is asking, and what a browser may be led to do in somebody's name.
//!
//! Errors: handlers answer [`AppError`], which becomes JSON or a page in one place.

mod access;
mod api;
mod app;
mod artifacts;
mod buildroot;
mod config;
mod doors;
mod error;
mod extract;
mod guard;
mod identity;
mod listen;
mod log;
mod pages;
mod range;
mod repositories;
mod routes;
mod run;
mod viewer;
pub mod watch;

pub use access::{Needs, ROUTES};
pub use app::App;
pub use config::Config;
pub use error::AppError;
pub use identity::Caller;
pub use listen::listen;
pub use routes::router;
pub use run::run;
