//! Passes the repositories of buckets on to dnf: what the hub gives to a builder for its lease, dnf gets from an address of this
//! machine. So dnf needs to know neither token nor lease nor the authorities that the builder trusts; and who does not know the
//! address, which holds a secret, gets nothing.

use std::{io, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use farm_daemon::CancellationToken;
use farm_types::{BucketName, LeaseKey};
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;
use uuid::Uuid;

use super::hub::{Hub, Setback, insist};

/// The address, as long as it lives.
#[derive(Debug)]
pub struct Relay {
    url: String,
    _over: DropGuard,
}

/// What an answer needs.
struct Shared {
    hub: Arc<Hub>,
    key: LeaseKey,
    secret: String,
    over: CancellationToken,
}

impl Relay {
    /// Serves until dropped, or until told to stop.
    pub async fn start(hub: &Arc<Hub>, key: LeaseKey, stop: &CancellationToken) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let over = stop.child_token();
        let secret = Uuid::new_v4().simple().to_string();
        let url = format!("http://{}/{secret}", listener.local_addr()?);
        let shared = Arc::new(Shared { hub: Arc::clone(hub), key, secret, over: over.clone() });
        let router = Router::new()
            .route("/{secret}/{bucket}/repodata/{file}", get(metadata))
            .route("/{secret}/{bucket}/packages/{digest}/{file}", get(package))
            .with_state(shared);
        let ended = over.clone();
        tokio::spawn(async move {
            // Not graceful: when the build is over, nobody reads on.
            let server = axum::serve(listener, router).into_future();
            if let Some(Err(error)) = ended.run_until_cancelled(server).await {
                tracing::warn!(%error, "the repositories of buckets are not passed on any more");
            }
        });
        Ok(Self { url, _over: over.drop_guard() })
    }

    /// Where a bucket is.
    pub fn url(&self, bucket: &BucketName) -> String {
        format!("{}/{bucket}/", self.url)
    }
}

async fn metadata(
    State(shared): State<Arc<Shared>>,
    Path((secret, bucket, file)): Path<(String, BucketName, String)>,
) -> Response {
    pass_on(&shared, &secret, &bucket, &["repodata", &file]).await
}

async fn package(
    State(shared): State<Arc<Shared>>,
    Path((secret, bucket, digest, file)): Path<(String, BucketName, String, String)>,
) -> Response {
    pass_on(&shared, &secret, &bucket, &["packages", &digest, &file]).await
}

async fn pass_on(shared: &Shared, secret: &str, bucket: &BucketName, path: &[&str]) -> Response {
    if secret != shared.secret {
        return StatusCode::NOT_FOUND.into_response();
    }
    match insist("reading a bucket", &shared.over, || shared.hub.bucket(&shared.key, bucket, path)).await {
        Ok(bytes) => Body::from_stream(bytes).into_response(),
        Err(Setback::Refused(error)) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        Err(Setback::LeaseLost | Setback::Stopped) => StatusCode::GONE.into_response(),
    }
}
