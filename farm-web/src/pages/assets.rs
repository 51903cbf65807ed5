//! Style, script and icon: part of the program, under URLs that change with them.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use farm_api::error::ErrorCode;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{App, error::AppError};

struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const STYLE: Asset = asset("farm.css", "text/css; charset=utf-8", include_str!("../../assets/farm.css"));
const SCRIPT: Asset = asset("farm.js", "text/javascript; charset=utf-8", include_str!("../../assets/farm.js"));
const ICON: Asset = asset("farm.svg", "image/svg+xml", include_str!("../../assets/farm.svg"));

const fn asset(name: &'static str, content_type: &'static str, text: &'static str) -> Asset {
    Asset { name, content_type, text }
}

impl Asset {
    fn url(&self) -> String {
        format!("/assets/{}/{}", hex::encode(&Sha256::digest(self.text)[..8]), self.name)
    }
}

/// What every page refers to.
#[derive(Debug, Serialize)]
pub struct Site {
    version: &'static str,
    style: String,
    script: String,
    icon: String,
}

static SITE: LazyLock<Site> = LazyLock::new(|| Site {
    version: env!("CARGO_PKG_VERSION"),
    style: STYLE.url(),
    script: SCRIPT.url(),
    icon: ICON.url(),
});

/// What every page refers to.
pub fn site() -> &'static Site {
    &SITE
}

/// Where they are.
pub fn routes() -> Router<App> {
    Router::new().route("/assets/{version}/{name}", get(serve))
}

async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(asset) = [STYLE, SCRIPT, ICON].into_iter().find(|asset| asset.name == name) else {
        return AppError::new(ErrorCode::NotFound, "there is no such file").into_response();
    };
    // A page of another version, still open after an upgrade, gets what there is, and does not keep it.
    let current = asset.url().contains(&format!("/{version}/"));
    let keep = if current { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, keep)], asset.text).into_response()
}
