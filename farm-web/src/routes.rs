//! All routes in one place.

use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode},
    middleware,
    response::{IntoResponse, Response},
};
use farm_api::error::{ErrorBody, ErrorCode};
use farm_daemon::http::health_routes;
use utoipa::openapi::OpenApi;

use crate::{App, api, artifacts, error::AppError, guard::guard, pages};

/// Everything that farm-web answers.
pub fn router(app: App) -> Router {
    let ready = app.clone();
    let health = health_routes(move || {
        let app = ready.clone();
        async move { app.ready().await }
    });
    let (documented, document) = api::routes().merge(artifacts::routes()).split_for_parts();
    Router::new()
        .merge(documented)
        .merge(api::openapi::route(document))
        .merge(pages::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
        .merge(health)
        .layer(middleware::from_fn(guard))
}

/// The document that describes the API.
pub fn openapi() -> OpenApi {
    api::openapi::complete(api::routes().merge(artifacts::routes()).into_openapi())
}

async fn nothing_here(request: Request) -> Response {
    let path = request.uri().path();
    let error = AppError::new(ErrorCode::NotFound, format!("there is nothing at {}", path.escape_debug()));
    if pages::wants_page(path) { pages::error_page(error) } else { error.into_response() }
}

/// There is no code of its own for this; the status says it.
async fn wrong_method(method: Method, request: Request) -> Response {
    let path = request.uri().path();
    let message = format!("{method} does nothing at {}", path.escape_debug());
    if pages::wants_page(path) {
        return (StatusCode::METHOD_NOT_ALLOWED, pages::error_html(StatusCode::METHOD_NOT_ALLOWED, &message))
            .into_response();
    }
    (StatusCode::METHOD_NOT_ALLOWED, axum::Json(ErrorBody::new(ErrorCode::BadRequest, message))).into_response()
}
