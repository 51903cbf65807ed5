//! Pages: what the API says, for people.
//!
//! Each page is one struct, made from the types of [`farm_api::people`], and one template in `templates/`. Everything
//! works without JavaScript; with it, pages follow what happens. Names are shown by the filter `shown`, and whatever a
//! template prints is escaped.

mod assets;
mod filters;
mod forms;
mod front;
mod hosts;
mod job;
mod jobs;
mod stages;
mod tail;
mod task;
mod templates;

use axum::{
    Router,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;

pub use self::templates::check as check_templates;
use crate::{
    App,
    error::{AppError, status, with_headers},
};

/// What a handler of a page answers.
type Page = Result<Html<String>, Sorry>;

/// All pages, and what they are made with.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(front::page))
        .route("/jobs", get(jobs::page))
        .route("/jobs/{id}", get(job::page))
        .route("/jobs/{id}/cancel", post(forms::cancel))
        .route("/jobs/{id}/retry", post(forms::retry))
        .route("/tasks/{id}", get(task::page))
        .route("/builders", get(hosts::builders))
        .route("/builders/{name}", get(hosts::builder))
        .route("/platforms", get(hosts::platforms))
        .route("/platforms/{name}", get(hosts::platform))
        .merge(assets::routes())
}

/// Whether a path is one where people look, so that a refusal is a page too.
pub fn wants_page(path: &str) -> bool {
    !["/api/", "/artifacts/", "/assets/"].iter().any(|prefix| path.starts_with(prefix))
}

/// A refusal or failure on a page.
struct Sorry(AppError);

impl<E: Into<AppError>> From<E> for Sorry {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Sorry {
    fn into_response(self) -> Response {
        error_page(self.0)
    }
}

#[derive(Serialize)]
struct ErrorPage {
    page: &'static str,
    status: u16,
    reason: &'static str,
    message: String,
}

/// The page that says why there is no other.
pub fn error_page(error: AppError) -> Response {
    let body = error.into_body();
    let status = status(body.code);
    with_headers(body.code, (status, error_html(status, &body.message)).into_response())
}

/// The same for a status that has no code of its own.
pub fn error_html(status: StatusCode, message: &str) -> Html<String> {
    let mut letters = message.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let page = ErrorPage {
        page: "",
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or_default(),
        message: format!("{first}{}", letters.as_str()),
    };
    // Should even that page fail, its template is broken; a start of the daemon would have said so.
    templates::render("error.html", &page).unwrap_or_else(|_| Html("The farm made a mistake.".to_owned()))
}
