//! The JSON API of [`farm_api::people`].

pub mod admin;
pub mod audit;
mod events;
mod farm;
mod jobs;
mod log;
mod login;
pub mod openapi;
mod submission;
mod tasks;
pub mod tokens;
mod uploads;

pub use self::jobs::{again, find, withdraw};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// All calls below `/api/v1`; what is added here is documented by that.
pub fn routes() -> OpenApiRouter<App> {
    let v1 = OpenApiRouter::new()
        .routes(routes!(login::token))
        .routes(routes!(farm::whoami))
        .routes(routes!(tokens::list, tokens::make))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(admin::buckets))
        .routes(routes!(admin::put_bucket))
        .routes(routes!(admin::builder_state))
        .routes(routes!(admin::platform_state))
        .routes(routes!(farm::platforms))
        .routes(routes!(farm::builders))
        .routes(routes!(farm::queue))
        .routes(routes!(uploads::begin))
        .routes(routes!(uploads::status, uploads::receive))
        .routes(routes!(jobs::list, jobs::create))
        .routes(routes!(jobs::create_chain))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(events::events))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::why))
        .routes(routes!(tasks::buildroot))
        .routes(routes!(log::plain))
        .routes(routes!(log::events));
    OpenApiRouter::new().nest("/api/v1", v1)
}
