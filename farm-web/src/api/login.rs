//! A token for a ticket.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use farm_api::{LoginToken, error::ErrorCode};
use farm_auth::Token;
use farm_db::access;
use farm_types::{Scope, TokenKind};

use crate::{
    App, Caller,
    error::{AppError, Result},
};

/// Gives a token for a Kerberos ticket (`Authorization: Negotiate …`), good for some minutes.
#[utoipa::path(post, path = "/token", tag = "tokens", responses((status = 200, body = LoginToken)))]
pub async fn token(
    State(app): State<App>,
    caller: Caller,
) -> Result<([(HeaderName, &'static str); 1], Json<LoginToken>)> {
    // A token does not beget tokens: one that was stolen would live for ever.
    let Some(ticket) = caller.ticket_seconds else {
        return Err(AppError::new(
            ErrorCode::Forbidden,
            "a token is given for a Kerberos ticket, and for nothing else",
        ));
    };
    let (token, actor) = (Token::generate(), caller.actor());
    let (digest, seconds) = (token.digest(), app.config.login_seconds.min(ticket));
    let log_in = move |conn: &mut _| {
        let kind = TokenKind::Login;
        let login = access::Login { token: &digest, kind, scopes: Scope::ALL, seconds, parent: None };
        access::log_in(conn, &actor, &login)
    };
    let expires = app.db(log_in).await?;
    let login = LoginToken { token: token.expose(), principal: caller.principal, expires };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(login)))
}
