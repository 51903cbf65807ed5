//! All routes in one place.

use axum::{Router, http::Uri, middleware};
use farm_api::error::ErrorCode;
use farm_daemon::http::health_routes;

use crate::{
    App, access, api, artifacts,
    doors::{Doors, admit},
    error::AppError,
    guard::guard,
    identity::identify,
    pages, repositories,
};

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
        .merge(repositories::routes())
        .fallback(nothing_here)
        .route_layer(middleware::from_fn_with_state(app.clone(), access::check))
        .layer(middleware::from_fn_with_state(app.clone(), identify))
        .layer(middleware::from_fn_with_state(Doors::new(&app.config), admit))
        .with_state(app.clone())
        .merge(health)
        .layer(middleware::from_fn_with_state(app, guard))
        .layer(middleware::from_fn(pages::refusals))
}

async fn nothing_here(uri: Uri) -> AppError {
    AppError::new(ErrorCode::NotFound, format!("there is nothing at {}", uri.path().escape_debug()))
}
