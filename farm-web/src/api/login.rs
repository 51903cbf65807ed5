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
#[utoipa::path(post, path = "/token", tag = "access", responses((status = 200, body = LoginToken)))]
pub async fn token(
    State(app): State<App>,
    caller: Caller,
) -> Result<([(HeaderName, &'static str); 1], Json<LoginToken>)> {
    // A token does not beget tokens: one that was stolen would live for ever.
    let Some(ticket) = caller.ticket else {
        return Err(AppError::new(
            ErrorCode::Forbidden,
            "a token is given for a Kerberos ticket, and for nothing else",
        ));
    };
    let (token, actor) = (Token::generate(), caller.actor());
    // A token does not outlive the ticket that it was given for.
    let seconds = u32::try_from(ticket.as_secs()).unwrap_or(u32::MAX).clamp(1, app.config.login_seconds);
    let digest = token.digest();
    let log_in = move |conn: &mut _| access::log_in(conn, &actor, &digest, TokenKind::Login, Scope::ALL, seconds);
    let expires = app.db(log_in).await?;
    let login = LoginToken { token: token.expose(), principal: caller.principal, expires };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(login)))
}
