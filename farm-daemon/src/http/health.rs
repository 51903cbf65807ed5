//! What a monitoring system asks of a daemon.

use std::future::Future;

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::metrics;

/// `/healthz` (the process answers), `/readyz` (it can do its work; if not, 503 and why), `/metrics`.
///
/// `ready` decides, and says in a sentence what is missing. Merge these routes into the daemon's own.
pub fn health_routes<S, R, F>(ready: R) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    R: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || readiness(ready())))
        .route("/metrics", get(numbers))
}

async fn readiness(ready: impl Future<Output = Result<(), String>>) -> Response {
    match ready.await {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

async fn numbers() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::render())
}
