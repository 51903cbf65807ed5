//! The table of calls, as in [`farm_api::hub`].

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::Method,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};
use farm_daemon::http::{HEALTH_ROUTES, health_routes};

use crate::{calls, hub::Shared};

/// What answers a call, for the method that the table has for it.
type Answer = fn(MethodFilter) -> MethodRouter<Shared>;

/// Every call of builders. The router is made from this table, and a test tries each line of it as everybody there is.
const CALLS: [(Method, &str, Answer); 16] = [
    (Method::POST, "/hub/v1/token", |method| on(method, calls::token::token)),
    (Method::POST, "/hub/v1/hello", |method| on(method, calls::hello::hello)),
    (Method::POST, "/hub/v1/claim", |method| on(method, calls::claim::claim)),
    (Method::POST, "/hub/v1/renew", |method| on(method, calls::renew::renew)),
    (Method::POST, "/hub/v1/status", |method| on(method, calls::status::status)),
    (Method::POST, "/hub/v1/leave", |method| on(method, calls::leave::leave)),
    (Method::POST, "/hub/v1/stage", |method| on(method, calls::stage::stage)),
    (Method::GET, "/hub/v1/sources/{position}", |method| on(method, calls::sources::source)),
    (Method::GET, "/hub/v1/record", |method| on(method, calls::sources::record)),
    (Method::GET, "/hub/v1/packages/{sha256}", |method| on(method, calls::sources::package)),
    (Method::GET, "/hub/v1/buckets/{bucket}/repodata/{file}", |method| on(method, calls::buckets::metadata)),
    (Method::GET, "/hub/v1/buckets/{bucket}/packages/{digest}/{file}", |method| on(method, calls::buckets::package)),
    (Method::PUT, "/hub/v1/log", |method| {
        on(method, calls::log::log).layer(DefaultBodyLimit::max(calls::log::MAX_PIECE))
    }),
    (Method::PUT, "/hub/v1/blobs/{sha256}", |method| on(method, calls::blobs::blob)),
    (Method::POST, "/hub/v1/finish", |method| {
        on(method, calls::finish::finish).layer(DefaultBodyLimit::max(calls::finish::MAX_END))
    }),
    (Method::POST, "/hub/v1/release", |method| on(method, calls::release::release)),
];

/// Every route there is: the calls of builders, and what a monitoring system asks.
pub fn routes() -> impl Iterator<Item = (Method, &'static str)> {
    let calls = CALLS.into_iter().map(|(method, path, _)| (method, path));
    calls.chain(HEALTH_ROUTES.map(|path| (Method::GET, path)))
}

pub(crate) fn router(hub: Shared) -> anyhow::Result<Router> {
    let health = {
        let hub = Shared::clone(&hub);
        health_routes(move || {
            let hub = Shared::clone(&hub);
            async move { hub.readiness().await }
        })
    };
    let mut router = Router::new();
    for (method, path, answer) in CALLS {
        router = router.route(path, answer(MethodFilter::try_from(method)?));
    }
    let router = router.layer(from_fn_with_state(Shared::clone(&hub), calls::token::ask_for_ticket));
    Ok(router.with_state(hub).merge(health))
}
