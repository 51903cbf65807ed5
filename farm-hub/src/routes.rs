//! The table of calls, as in [`farm_api::hub`].

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{get, post, put},
};
use farm_daemon::http::health_routes;

use crate::{calls, hub::Shared};

pub(crate) fn router(hub: Shared) -> Router {
    let health = {
        let hub = Shared::clone(&hub);
        health_routes(move || {
            let hub = Shared::clone(&hub);
            async move { hub.readiness().await }
        })
    };
    Router::new()
        .route("/hub/v1/token", post(calls::token::token))
        .route("/hub/v1/hello", post(calls::hello::hello))
        .route("/hub/v1/claim", post(calls::claim::claim))
        .route("/hub/v1/renew", post(calls::renew::renew))
        .route("/hub/v1/stage", post(calls::stage::stage))
        .route("/hub/v1/sources/{position}", get(calls::sources::source))
        .route("/hub/v1/log", put(calls::log::log).layer(DefaultBodyLimit::max(calls::log::MAX_PIECE)))
        .route("/hub/v1/blobs/{sha256}", put(calls::blobs::blob))
        .route("/hub/v1/finish", post(calls::finish::finish).layer(DefaultBodyLimit::max(calls::finish::MAX_END)))
        .route("/hub/v1/release", post(calls::release::release))
        .layer(from_fn_with_state(Shared::clone(&hub), calls::token::ask_for_ticket))
        .with_state(hub)
        .merge(health)
}
