//! What the publisher makes of buckets, for dnf.
//!
//! Each part of a path is parsed into its type, so a request reaches the files of a repository and nothing else: not what
//! the publisher keeps for itself, whose names begin with a dot.

use std::path::PathBuf;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use farm_api::error::ErrorCode;
use farm_types::{BucketName, Digest, FileName, PlatformName};
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use crate::{
    App,
    error::{AppError, Result},
    extract::Names,
};

/// Names of packages and metadata are digests or have one in their path: they never change.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// The one file that does.
const INDEX: &str = "repomd.xml";
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// The routes below `/repositories`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/repositories/{bucket}/{platform}/farm.repo", get(repo_file))
        .route("/repositories/{bucket}/{platform}/repodata/{file}", get(metadata))
        .route("/repositories/{bucket}/{platform}/packages/{digest}/{file}", get(package))
}

/// How dnf is told of a repository: `dnf config-manager --add-repo URL`.
async fn repo_file(
    State(app): State<App>,
    Names((bucket, platform)): Names<(BucketName, PlatformName)>,
    headers: HeaderMap,
) -> Result<Response> {
    let folder = folder(&app, &bucket, &platform)?;
    if !folder.join("repodata").join(INDEX).is_file() {
        return Err(none_yet(&bucket, &platform));
    }
    // The name that the asker reached us by, which `guard` has checked.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    // Not signed yet, so dnf cannot be told to check.
    let text = format!(
        "[farm-{bucket}-{platform}]\nname=Farm: {bucket} for {platform}\n\
         baseurl=http://{host}/repositories/{bucket}/{platform}/\nenabled=1\ngpgcheck=0\n"
    );
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

async fn metadata(
    State(app): State<App>,
    Names((bucket, platform, file)): Names<(BucketName, PlatformName, FileName)>,
    request: Request,
) -> Result<Response> {
    let path = folder(&app, &bucket, &platform)?.join("repodata").join(file.as_str());
    let caching = if file.as_str() == INDEX { ASK_EACH_TIME } else { FOR_EVER };
    send(path, caching, request, || none_yet(&bucket, &platform)).await
}

async fn package(
    State(app): State<App>,
    Names((bucket, platform, digest, file)): Names<(BucketName, PlatformName, Digest, FileName)>,
    request: Request,
) -> Result<Response> {
    let path = folder(&app, &bucket, &platform)?.join("packages").join(digest.to_string()).join(file.as_str());
    let missing = || AppError::new(ErrorCode::NotFound, format!("{bucket} for {platform} has no such package"));
    send(path, FOR_EVER, request, missing).await
}

fn folder(app: &App, bucket: &BucketName, platform: &PlatformName) -> Result<PathBuf> {
    let missing = || AppError::new(ErrorCode::NotFound, "this server has no repositories");
    let root = app.config.repositories.as_ref().ok_or_else(missing)?;
    Ok(root.join(bucket.as_str()).join(platform.as_str()))
}

fn none_yet(bucket: &BucketName, platform: &PlatformName) -> AppError {
    AppError::new(ErrorCode::NotFound, format!("nothing was published of {bucket} for {platform} yet"))
}

/// Sends a file, with ranges and conditions.
async fn send(
    path: PathBuf,
    caching: HeaderValue,
    request: Request,
    missing: impl FnOnce() -> AppError,
) -> Result<Response> {
    if !path.is_file() {
        return Err(missing());
    }
    let mut response = match ServeFile::new(path).oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    };
    response.headers_mut().insert(header::CACHE_CONTROL, caching);
    Ok(response)
}
