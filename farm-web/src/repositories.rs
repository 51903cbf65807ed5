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
use farm_db::access;
use farm_types::{BucketName, Digest, FileName, PlatformName};
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use crate::{
    App,
    error::{AppError, Result},
    extract::Names,
    identity::Visitor,
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
    visitor: Visitor,
    Names((bucket, platform)): Names<(BucketName, PlatformName)>,
    headers: HeaderMap,
) -> Result<Response> {
    let folder = folder(&app, &visitor, &bucket, &platform).await?;
    if !folder.join("repodata").join(INDEX).is_file() {
        return Err(none_yet(&bucket, &platform));
    }
    // The name that the asker reached us by.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let scheme = scheme(&app, &headers);
    // Not signed yet, so dnf cannot be told to check.
    let text = format!(
        "[farm-{bucket}-{platform}]\nname=Farm: {bucket} for {platform}\n\
         baseurl={scheme}://{host}/repositories/{bucket}/{platform}/\nenabled=1\ngpgcheck=0\n"
    );
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// By which scheme the asker reached us, a proxy in between or not.
fn scheme(app: &App, headers: &HeaderMap) -> &'static str {
    let forwarded = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    if app.config.http.tls.is_some() || (app.config.http.behind_proxy && forwarded) { "https" } else { "http" }
}

async fn metadata(
    State(app): State<App>,
    visitor: Visitor,
    Names((bucket, platform, file)): Names<(BucketName, PlatformName, FileName)>,
    request: Request,
) -> Result<Response> {
    let path = folder(&app, &visitor, &bucket, &platform).await?.join("repodata").join(file.as_str());
    let caching = if file.as_str() == INDEX { ASK_EACH_TIME } else { FOR_EVER };
    send(path, caching, request, || none_yet(&bucket, &platform)).await
}

async fn package(
    State(app): State<App>,
    visitor: Visitor,
    Names((bucket, platform, digest, file)): Names<(BucketName, PlatformName, Digest, FileName)>,
    request: Request,
) -> Result<Response> {
    let path =
        folder(&app, &visitor, &bucket, &platform).await?.join("packages").join(digest.to_string()).join(file.as_str());
    let missing = || AppError::new(ErrorCode::NotFound, format!("{bucket} for {platform} has no such package"));
    send(path, FOR_EVER, request, missing).await
}

/// The folder of a repository, if the visitor sees what is in the bucket. Whoever is not known is asked to say who it is, in the
/// one way that dnf has: a user name, and a token as the password.
async fn folder(app: &App, visitor: &Visitor, bucket: &BucketName, platform: &PlatformName) -> Result<PathBuf> {
    let missing = || AppError::new(ErrorCode::NotFound, "this server has no repositories");
    let root = app.config.repositories.as_ref().ok_or_else(missing)?;
    let (viewer, name) = (visitor.viewer(), bucket.clone());
    if !app.db(move |conn| access::sees_bucket(conn, viewer, &name)).await? {
        return Err(match &visitor.0 {
            None => AppError::AskForPassword,
            Some(_) => none_yet(bucket, platform),
        });
    }
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
