//! Serving a router until the daemon is to end.

use std::{future::Future, time::Duration};

use anyhow::Context as _;
use axum::{Router, middleware};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{HttpConfig, Listener, Peer, health_routes, trace::trace};

/// How long answers under way may take once the daemon is to end. Handlers that wait (long polls, live logs) must watch
/// the token themselves.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until the token is cancelled, then finishes the answers under way.
///
/// Every request gets a span, a [`RequestId`](super::RequestId), a line in the log and a sample in the metrics.
pub async fn serve(listener: Listener, router: Router, shutdown: CancellationToken) -> anyhow::Result<()> {
    let app = router.layer(middleware::from_fn(trace)).into_make_service_with_connect_info::<Peer>();
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.clone().cancelled_owned()).into_future();
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = server => served.context("the HTTP server failed"),
        () = deadline => {
            warn!("answers were still under way {} seconds after the end was asked for: cut off", DRAIN.as_secs());
            Ok(())
        }
    }
}

/// Serves nothing but [`health_routes`], for daemons without an HTTP interface of their own; without a configuration it
/// just waits for the end.
pub async fn serve_health<R, F>(config: Option<HttpConfig>, ready: R, shutdown: CancellationToken) -> anyhow::Result<()>
where
    R: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let Some(config) = config else {
        shutdown.cancelled().await;
        return Ok(());
    };
    let listener = Listener::bind(&config).await?;
    info!(listen = %listener.address(), "serving health and metrics");
    serve(listener, health_routes(ready), shutdown).await
}
