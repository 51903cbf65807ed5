//! Pages: what the API says, for people.
//!
//! Each page is one struct, made from the types of [`farm_api::people`], and one template in `templates/`. Everything
//! works without JavaScript; with it, pages follow what happens. Names are shown by the filter `shown`, and whatever a
//! template prints is escaped.

mod account;
mod assets;
mod audit;
mod buildroot;
mod filters;
mod forms;
mod front;
mod hosts;
mod job;
mod jobs;
mod login;
mod set_aside;
mod stages;
mod tail;
mod task;
mod templates;

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use farm_api::error::ErrorBody;
use serde::Serialize;

pub use self::templates::check as check_templates;
use crate::{App, error::Result, identity::Visitor};

/// What a handler of a page answers.
type Page = Result<Html<String>>;

/// All pages, and what they are made with.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(front::page))
        .route("/jobs", get(jobs::page))
        .route("/jobs/{id}", get(job::page))
        .route("/jobs/{id}/cancel", post(forms::cancel))
        .route("/jobs/{id}/retry", post(forms::retry))
        .route("/tasks/{id}", get(task::page))
        .route("/tasks/{id}/buildroot", get(buildroot::page))
        .route("/set-aside", get(set_aside::page))
        .route("/builders", get(hosts::builders))
        .route("/builders/{name}", get(hosts::builder))
        .route("/builders/{name}/state", post(forms::builder))
        .route("/platforms", get(hosts::platforms))
        .route("/platforms/{name}", get(hosts::platform))
        .route("/platforms/{name}/state", post(forms::platform))
        .route("/account", get(account::page))
        .route("/account/tokens", post(account::make))
        .route("/account/tokens/{id}/revoke", post(account::revoke))
        .route("/audit", get(audit::page))
        .route("/login", get(login::page).post(login::with_token))
        .route("/logout", post(login::out))
        .merge(assets::routes())
}

#[derive(Serialize)]
struct ErrorPage {
    page: &'static str,
    status: u16,
    reason: &'static str,
    message: String,
}

/// Where people look, a refusal is a page too.
pub async fn refusals(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_for_programs = ["/api/", "/artifacts/", "/assets/"].iter().any(|prefix| path.starts_with(prefix));
    let mut response = next.run(request).await;
    if is_for_programs {
        return response;
    }
    let Some(body) = response.extensions_mut().remove::<ErrorBody>() else { return response };
    let (mut parts, _) = response.into_parts();
    let page = error_page(parts.status, &body.message);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    (parts, page).into_response()
}

fn error_page(status: StatusCode, message: &str) -> Html<String> {
    let mut letters = message.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let page = ErrorPage {
        page: "",
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or_default(),
        message: format!("{first}{}", letters.as_str()),
    };
    // Should even that page fail, its template is broken; a start of the daemon would have said so.
    templates::render("error.html", &Visitor::default(), &page)
        .unwrap_or_else(|_| Html("The farm made a mistake.".to_owned()))
}
