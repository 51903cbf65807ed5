//! Serving a router until the daemon is to end.

use std::{
    future::{Future, pending},
    time::Duration,
};

use anyhow::Context as _;
use axum::{Router, middleware};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{HttpConfig, Listener, Peer, client::client_address, health_routes, trace::trace};

/// How often the files of certificates are looked at. Those who renew them do so days before it matters.
const CERTIFICATES: Duration = Duration::from_secs(60);

/// How long answers under way may take once the daemon is to end. Handlers that wait (long polls, live logs) must watch
/// the token themselves.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until the token is cancelled, then finishes the answers under way.
///
/// Every request gets a span, a [`RequestId`](super::RequestId), a [`ClientAddress`](super::ClientAddress), a line in the log
/// and a sample in the metrics. Certificates that change are read anew.
pub async fn serve(listener: Listener, router: Router, shutdown: CancellationToken) -> anyhow::Result<()> {
    let certificates = listener.certificates();
    let app = router
        .layer(middleware::from_fn(trace))
        .layer(middleware::from_fn_with_state(listener.is_behind_proxy(), client_address))
        .into_make_service_with_connect_info::<Peer>();
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.clone().cancelled_owned()).into_future();
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let renewal = async {
        match certificates {
            Some(certificates) => certificates.watch(CERTIFICATES).await,
            None => pending().await,
        }
    };
    tokio::select! {
        never = renewal => match never {},
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{
        extract::{ConnectInfo, State},
        routing::get,
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixStream,
        sync::Notify,
    };

    use super::*;
    use crate::http::Address;

    /// A handler that answers when the daemon is to end, as long polls do.
    async fn wait_for_end(
        State((arrived, end)): State<(Arc<Notify>, CancellationToken)>,
        ConnectInfo(peer): ConnectInfo<Peer>,
    ) -> String {
        arrived.notify_one();
        end.cancelled().await;
        format!("finished for {peer}")
    }

    #[tokio::test]
    async fn an_answer_under_way_is_finished_when_the_daemon_is_to_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = Listener::bind(&HttpConfig::new(Address::Unix(path.clone()))).await.unwrap();
        let shutdown = CancellationToken::new();
        let arrived = Arc::new(Notify::new());
        let router = Router::new().route("/", get(wait_for_end)).with_state((arrived.clone(), shutdown.clone()));
        let server = tokio::spawn(serve(listener, router, shutdown.clone()));

        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: farm\r\nConnection: close\r\n\r\n").await.unwrap();
        arrived.notified().await;
        shutdown.cancel();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("finished for local"), "{answer}");
        server.await.unwrap().unwrap();
    }
}
