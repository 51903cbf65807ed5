//! Repositories of buckets, for the builds that install from them. They are what farm-web shows to people, from the same folder; a
//! builder reads them by its lease, so that a build may have what is in a bucket that not everybody sees.

use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use farm_api::error::ErrorCode;
use farm_db::queue;
use farm_types::{BucketName, Digest, FileName};
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use crate::{
    caller::{Caller, Held},
    error::{HubError, Result},
    hub::Shared,
};

/// The file that names all others: who reads it begins to read the repository.
const INDEX: &str = "repomd.xml";

/// A file of a repository's metadata.
pub(crate) async fn metadata(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Held(key): Held,
    names: Result<Path<(BucketName, FileName)>, PathRejection>,
    request: Request,
) -> Result<Response> {
    let Path((bucket, file)) = names?;
    let name = bucket.clone();
    let place = hub.pool.run(move |conn| queue::bucket(conn, builder.id, &key, &name)).await?;
    if place.behind && file.as_str() == INDEX {
        let message = format!("the repository of {bucket} for {} is being published", place.platform);
        return Err(HubError::new(ErrorCode::Unavailable, message));
    }
    let path = ["repodata", file.as_str()].iter().collect();
    send(&hub, &bucket, &place, path, request).await
}

/// A package.
pub(crate) async fn package(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Held(key): Held,
    names: Result<Path<(BucketName, Digest, FileName)>, PathRejection>,
    request: Request,
) -> Result<Response> {
    let Path((bucket, digest, file)) = names?;
    let name = bucket.clone();
    let place = hub.pool.run(move |conn| queue::bucket(conn, builder.id, &key, &name)).await?;
    let path = ["packages", &digest.to_string(), file.as_str()].iter().collect();
    send(&hub, &bucket, &place, path, request).await
}

async fn send(
    hub: &Shared,
    bucket: &BucketName,
    place: &queue::LeasedBucket,
    path: std::path::PathBuf,
    request: Request,
) -> Result<Response> {
    let Some(root) = &hub.config.repositories else {
        let message = "this hub has no repositories of buckets: `repositories` in its configuration says where the publisher puts them";
        return Err(HubError::new(ErrorCode::Refused, message));
    };
    let path = root.join(bucket.as_str()).join(place.platform.as_str()).join(path);
    if !path.is_file() {
        let message = format!("the repository of {bucket} for {} has no such file", place.platform);
        return Err(HubError::new(ErrorCode::NotFound, message));
    }
    match ServeFile::new(path).oneshot(request).await {
        Ok(response) => Ok(response.into_response()),
        Err(never) => match never {},
    }
}
