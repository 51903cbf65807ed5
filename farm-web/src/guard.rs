//! What protects the person in front of a browser.
//!
//! A page from elsewhere must not speak in that person's name by a form or script that points here (refused by `Sec-Fetch-Site`
//! and `Origin`, before any cookie is looked at). On a farm for one person, where every caller is that person, it must not come
//! under a name of its own either that resolves to this machine (refused by `Host`). Tools send none of these headers but
//! `Host`, and are not hindered.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use farm_api::error::ErrorCode;

use crate::{App, error::AppError};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// A browser with a ticket begins a session there by a mere look.
const LOGIN: &str = "/login";

/// Everything comes from here, nothing is inline, nobody frames us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    // What may be kept says so itself.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Refuses what comes from other sites, and gives every answer the headers that bind a browser.
pub async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let any_host = app.config.local_user.is_none();
    let mut response = match refusal(request.method(), request.uri().path(), request.headers(), any_host) {
        None => next.run(request).await,
        Some(error) => error.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

fn refusal(method: &Method, path: &str, headers: &HeaderMap, any_host: bool) -> Option<AppError> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if !any_host && !host.is_none_or(is_this_machine) {
        let message = "this farm is for one person and asks nobody who it is, so it answers only to localhost and loopback addresses";
        return Some(AppError::new(ErrorCode::Forbidden, message));
    }
    if !method.is_safe() && comes_from_elsewhere(headers, host) {
        let message = "the request comes from another site; go to the farm's own page and try there";
        return Some(AppError::new(ErrorCode::Forbidden, message));
    }
    if path == LOGIN && comes_from_elsewhere(headers, host) && !is_visit(headers) {
        let message = "another site asks for the login in passing; go to the farm's own page to log in";
        return Some(AppError::new(ErrorCode::Forbidden, message));
    }
    None
}

/// Whether a person goes there, by a link; and not a page that shows something of ours as a picture or in a frame. An old browser
/// does not say.
fn is_visit(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_MODE).is_none_or(|mode| mode == "navigate")
        && headers.get(SEC_FETCH_DEST).is_none_or(|place| place == "document")
}

fn comes_from_elsewhere(headers: &HeaderMap, host: Option<&str>) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    authority.is_none() || authority != host
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: Method, headers: &[(&'static str, &'static str)]) -> bool {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        refusal(&method, "/login", &headers.collect(), false).is_some()
    }

    #[test]
    fn a_form_of_another_site_is_refused_and_our_own_is_not() {
        assert!(refused(Method::POST, &[("sec-fetch-site", "cross-site")]));
        assert!(refused(Method::POST, &[("sec-fetch-site", "same-site")]));
        assert!(!refused(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(!refused(Method::GET, &[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_login_in_passing_is_refused_and_a_link_to_it_is_not() {
        let elsewhere = ("sec-fetch-site", "cross-site");
        for passing in [("sec-fetch-mode", "no-cors"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "iframe")] {
            assert!(refused(Method::GET, &[elsewhere, passing]), "{passing:?}");
            assert!(refused(Method::GET, &[("sec-fetch-site", "same-site"), passing]), "{passing:?}");
            assert!(!refused(Method::GET, &[("sec-fetch-site", "same-origin"), passing]), "{passing:?}");
        }
        assert!(!refused(Method::GET, &[elsewhere, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]));
    }

    #[test]
    fn an_old_browser_is_judged_by_its_origin() {
        let host = ("host", "127.0.0.1:8000");
        assert!(refused(Method::POST, &[host, ("origin", "http://evil.example")]));
        assert!(refused(Method::POST, &[host, ("origin", "null")]));
        assert!(!refused(Method::POST, &[host, ("origin", "http://127.0.0.1:8000")]));
    }

    #[test]
    fn tools_send_neither_and_pass() {
        assert!(!refused(Method::POST, &[]));
        assert!(!refused(Method::PATCH, &[("host", "localhost:8000")]));
    }

    #[test]
    fn a_name_that_merely_resolves_to_this_machine_is_refused() {
        for host in ["evil.example", "evil.example:8000", "localhost.evil.example", "192.0.2.1", "@", ""] {
            assert!(refused(Method::GET, &[("host", Box::leak(host.to_owned().into_boxed_str()))]), "{host}");
        }
        for host in ["localhost", "127.0.0.1:8000", "[::1]:8000", "farm.localhost:1"] {
            assert!(!refused(Method::GET, &[("host", Box::leak(host.to_owned().into_boxed_str()))]), "{host}");
        }
    }
}
