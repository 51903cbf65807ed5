//! Logging in and out, in a browser.
//!
//! A browser with a ticket logs in without a word: it is asked for one, and the page of those who have none is the body of that
//! question. A token that is pasted there does as well.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use farm_api::{error::ErrorCode, paths::segment};
use farm_auth::Token;
use farm_db::{Actor, access};
use farm_types::{Digest, Scope, TokenKind, Way};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::templates::render;
use crate::{
    App, Caller,
    error::{AppError, Result},
    extract::{Form, Query},
    identity::{Address, Visitor, end_cookie, session_cookie, session_token},
};

/// Where to go after the login.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Next {
    next: String,
}

impl Next {
    /// A path of this server: a link to our login must not lead to somebody else's page.
    fn path(&self) -> &str {
        let local = self.next.starts_with('/') && !self.next[1..].starts_with(['/', '\\']);
        if local && !self.next.contains(char::is_control) { &self.next } else { "/" }
    }
}

#[derive(Serialize)]
struct LoginPage {
    page: &'static str,
    next: String,
    /// The same, for a query.
    next_query: String,
    /// Whether tickets are taken here.
    tickets: bool,
    /// What is wrong with what was pasted.
    problem: Option<String>,
}

fn ask(app: &App, visitor: &Visitor, next: &Next, problem: Option<String>) -> Result<Response> {
    let tickets = app.acceptor.is_some();
    let page = LoginPage { page: "", next: next.path().to_owned(), next_query: segment(next.path()), tickets, problem };
    // The header that asks for a ticket is added to every 401.
    let status = if tickets { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    Ok((status, render("login.html", visitor, &page)?).into_response())
}

/// Begins a session for whoever comes with a ticket, and asks whoever does not.
pub async fn page(State(app): State<App>, visitor: Visitor, Query(next): Query<Next>) -> Result<Response> {
    match &visitor.0 {
        Some(Caller { way: Way::Local | Way::Session, .. }) => Ok(Redirect::to(next.path()).into_response()),
        Some(caller @ Caller { ticket_seconds: Some(seconds), .. }) => {
            begin(&app, caller.actor(), (Scope::ALL.to_vec(), None), *seconds, &next).await
        }
        _ => ask(&app, &visitor, &next, None),
    }
}

/// What is pasted.
#[derive(Debug, Deserialize)]
pub struct Pasted {
    token: String,
    #[serde(default)]
    next: String,
}

/// Begins a session for whoever pastes a token. It is good for what the token is good for.
pub async fn with_token(
    State(app): State<App>,
    visitor: Visitor,
    Address(address): Address,
    Form(Pasted { token, next }): Form<Pasted>,
) -> Result<Response> {
    let next = Next { next };
    let digest = token.trim().parse::<Token>().ok().map(|token| token.digest());
    let found = match digest {
        Some(digest) => app.db(move |conn| access::caller_by_token(conn, &digest)).await?,
        None => None,
    };
    let Some(found) = found.filter(|found| found.kind == TokenKind::Api) else {
        let problem = "That is no token that is known here and still good.".to_owned();
        return ask(&app, &visitor, &next, Some(problem));
    };
    let actor = Actor { principal: found.known.principal, way: Way::Token, address: Some(address) };
    begin(&app, actor, (found.scopes, digest), until(&found.expires), &next).await
}

/// Seconds until then.
fn until(expires: &Timestamp) -> u32 {
    u32::try_from(expires.as_second() - Timestamp::now().as_second()).unwrap_or(0).max(1)
}

/// Begins a session, which does not outlive what it is begun with.
async fn begin(
    app: &App,
    actor: Actor,
    (scopes, parent): (Vec<Scope>, Option<Digest>),
    longest: u32,
    next: &Next,
) -> Result<Response> {
    let (token, seconds) = (Token::generate(), app.config.session_seconds.min(longest));
    let digest = token.digest();
    app.db(move |conn| {
        let (kind, parent) = (TokenKind::Session, parent.as_ref());
        access::log_in(conn, &actor, &access::Login { token: &digest, kind, scopes: &scopes, seconds, parent })
    })
    .await?;
    let mut response = Redirect::to(next.path()).into_response();
    let cookie =
        session_cookie(&token, seconds).ok_or_else(|| AppError::Mistake("a cookie is no header".to_owned()))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Ends the session.
pub async fn out(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Result<Response> {
    let Some(token) = session_token(&headers).filter(|_| caller.way == Way::Session) else {
        return Err(AppError::new(ErrorCode::Conflict, "there is no session to end"));
    };
    let actor = caller.actor();
    app.db(move |conn| access::log_out(conn, &actor, &token.digest())).await?;
    app.known.forget();
    let mut response = Redirect::to("/").into_response();
    response.headers_mut().extend(end_cookie().map(|cookie| (header::SET_COOKIE, cookie)));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_pages_of_this_server_alone() {
        for (next, path) in [
            ("/jobs/1?a=b", "/jobs/1?a=b"),
            ("", "/"),
            ("https://evil.example/", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example/", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
        ] {
            assert_eq!(Next { next: next.to_owned() }.path(), path, "{next}");
        }
    }
}
