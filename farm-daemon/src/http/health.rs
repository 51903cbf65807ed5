//! What a monitoring system asks of a daemon.

use std::future::Future;

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::metrics;

/// The paths of [`health_routes`], for those who list what a daemon answers.
pub const HEALTH_ROUTES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// `/healthz` (the process answers), `/readyz` (it can do its work; if not, 503 and why), `/metrics`.
///
/// `ready` decides, and says in a sentence what is missing. Merge these routes into the daemon's own.
pub fn health_routes<S, R, F>(ready: R) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    R: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    let [health, readyz, numbers_of_it] = HEALTH_ROUTES;
    Router::new()
        .route(health, get(|| async { "ok\n" }))
        .route(readyz, get(move || readiness(ready())))
        .route(numbers_of_it, get(numbers))
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

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(path: &str, ready: Result<(), String>) -> (StatusCode, String) {
        let routes: Router = health_routes(move || std::future::ready(ready.clone()));
        let response = routes.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_daemon_that_cannot_work_says_why_and_is_alive_all_the_same() {
        let why = Err("the database does not answer".to_owned());
        let (status, body) = ask("/readyz", why.clone()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, "not ready: the database does not answer\n");
        assert_eq!(ask("/healthz", why).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_daemon_that_can_work_is_ready() {
        assert_eq!(ask("/readyz", Ok(())).await, (StatusCode::OK, "ready\n".to_owned()));
    }
}
