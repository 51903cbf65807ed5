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
use farm_db::{Viewer, access};
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
const FOR_EVER: &str = "max-age=31536000, immutable";
/// The one file that does.
const INDEX: &str = "repomd.xml";
const ASK_EACH_TIME: &str = "no-cache";

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
    let place = place(&app, &visitor, &bucket, &platform).await?;
    if !place.folder.join("repodata").join(INDEX).is_file() {
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
    let answer = ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response();
    place.kept(answer, ASK_EACH_TIME)
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
    let place = place(&app, &visitor, &bucket, &platform).await?;
    let path = place.folder.join("repodata").join(file.as_str());
    let keep = if file.as_str() == INDEX { ASK_EACH_TIME } else { FOR_EVER };
    place.kept(send(path, request, || none_yet(&bucket, &platform)).await?, keep)
}

async fn package(
    State(app): State<App>,
    visitor: Visitor,
    Names((bucket, platform, digest, file)): Names<(BucketName, PlatformName, Digest, FileName)>,
    request: Request,
) -> Result<Response> {
    let place = place(&app, &visitor, &bucket, &platform).await?;
    let path = place.folder.join("packages").join(digest.to_string()).join(file.as_str());
    let missing = || AppError::new(ErrorCode::NotFound, format!("{bucket} for {platform} has no such package"));
    place.kept(send(path, request, missing).await?, FOR_EVER)
}

/// Where a repository is.
struct Place {
    folder: PathBuf,
    /// Whether anybody sees it.
    is_public: bool,
}

impl Place {
    /// Says who may keep an answer, and how. A cache that several people share may keep only what anybody sees: it would hand
    /// out the rest without asking us who may have it.
    fn kept(&self, mut answer: Response, how: &str) -> Result<Response> {
        let who = if self.is_public { "public" } else { "private" };
        let value = HeaderValue::try_from(format!("{who}, {how}")).map_err(|e| AppError::Mistake(e.to_string()))?;
        answer.headers_mut().insert(header::CACHE_CONTROL, value);
        if !self.is_public {
            answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Authorization, Cookie"));
        }
        Ok(answer)
    }
}

/// The place of a repository, if the visitor sees what is in the bucket. Whoever is not known is asked to say who it is, in the
/// one way that dnf has: a user name, and a token as the password.
async fn place(app: &App, visitor: &Visitor, bucket: &BucketName, platform: &PlatformName) -> Result<Place> {
    let missing = || AppError::new(ErrorCode::NotFound, "this server has no repositories");
    let root = app.config.repositories.as_ref().ok_or_else(missing)?;
    let (viewer, name) = (visitor.viewer(), bucket.clone());
    let look = move |conn: &mut _| {
        let is_public = access::sees_bucket(conn, Viewer::ANYBODY, &name)?;
        Ok((is_public, is_public || access::sees_bucket(conn, viewer, &name)?))
    };
    let (is_public, is_seen) = app.db(look).await?;
    if !is_seen {
        return Err(match &visitor.0 {
            None => AppError::AskForPassword,
            Some(_) => none_yet(bucket, platform),
        });
    }
    // Where everybody has to log in, nothing is for anybody.
    let is_public = is_public && !app.config.require_login;
    Ok(Place { folder: root.join(bucket.as_str()).join(platform.as_str()), is_public })
}

fn none_yet(bucket: &BucketName, platform: &PlatformName) -> AppError {
    AppError::new(ErrorCode::NotFound, format!("nothing was published of {bucket} for {platform} yet"))
}

/// Sends a file, with ranges and conditions.
async fn send(path: PathBuf, request: Request, missing: impl FnOnce() -> AppError) -> Result<Response> {
    if !path.is_file() {
        return Err(missing());
    }
    match ServeFile::new(path).oneshot(request).await {
        Ok(response) => Ok(response.into_response()),
        Err(never) => match never {},
    }
}
