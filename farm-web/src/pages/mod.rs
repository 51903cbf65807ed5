//! Pages.
use crate::{App, error::AppError};
use axum::{
    Router,
    response::{IntoResponse, Response},
};
/// x
pub fn routes() -> Router<App> {
    Router::new()
}
/// x
pub fn wants_page(path: &str) -> bool {
    !path.starts_with("/api/") && !path.starts_with("/artifacts/")
}
/// x
pub fn error_page(e: AppError) -> Response {
    e.into_response()
}
/// x
pub fn check_templates() -> anyhow::Result<()> {
    Ok(())
}
