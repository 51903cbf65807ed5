//! What the programs of the farm say to each other over HTTP.
//!
//! - [`people`]: the API of farm-web under `/api/v1`, for people's tools and scripts;
//! - [`hub`]: the API of farm-hub under `/hub/v1`, for builders;
//! - [`options`]: what a job may ask of its builds; [`limits`]: what a build may use up;
//! - [`access`]: who is who, who may what, who did what; [`LoginToken`]: what both give for a Kerberos ticket;
//! - [`record`]: what is kept of an attempt;
//! - [`error`]: the one form in which both refuse;
//! - [`client`] (feature `client`): clients for both.

pub mod access;
#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod hub;
pub mod limits;
mod login;
pub mod options;
pub mod paths;
pub mod people;
pub mod recipe;
pub mod record;

pub use login::LoginToken;
