use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use farm_api::{LoginToken, error::ErrorCode};
use farm_auth::{
    Token,
    negotiate::{Accepted, NegotiateError, negotiate_token, www_authenticate},
};
use farm_db::operator::builder_log_in;
use tracing::{info, warn};

use crate::{
    caller::Origin,
    error::{HubError, Result},
    hub::Shared,
};

/// Gives a builder a token for its ticket.
pub(crate) async fn token(State(hub): State<Shared>, Origin(address): Origin, headers: HeaderMap) -> Result<Response> {
    let (login, reply) = log_in(&hub, &address, &headers).await?;
    let proof = [(header::WWW_AUTHENTICATE, www_authenticate(&reply))];
    Ok((proof, [(header::CACHE_CONTROL, "no-store")], Json(login)).into_response())
}

/// Says on every refusal of somebody unknown that a ticket would do: builders log in when they are asked.
pub(crate) async fn ask_for_ticket(State(hub): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED && hub.acceptor.is_some() {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, www_authenticate(&[]));
    }
    response
}

async fn log_in(hub: &Shared, address: &str, headers: &HeaderMap) -> Result<(LoginToken, Vec<u8>)> {
    let Accepted { principal, reply, lifetime } = accept(hub, headers).await?;
    let token = Token::generate();
    // A token does not outlive the ticket that it was given for.
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).clamp(1, hub.config.login_seconds);
    let (digest, who, from) = (token.digest(), principal.clone(), address.to_owned());
    let log_in = move |conn: &mut _| builder_log_in(conn, &who, &from, &digest, seconds);
    let expires = hub.pool.run(log_in).await?;
    info!(builder.principal = principal, address, "builder logged in");
    Ok((LoginToken { token: token.expose(), principal, expires }, reply))
}

async fn accept(hub: &Shared, headers: &HeaderMap) -> Result<Accepted> {
    let refuse = |code, message: &str| Err(HubError::new(code, message));
    let Some(acceptor) = &hub.acceptor else {
        let message = "this hub takes no tickets; an operator gives the builder a token with `farm-admin builder add`";
        return refuse(ErrorCode::Unauthenticated, message);
    };
    let token = match negotiate_token(headers) {
        Ok(Some(token)) => token,
        Ok(None) => return refuse(ErrorCode::Unauthenticated, "come with a ticket: Authorization: Negotiate …"),
        Err(error) => return refused(&error),
    };
    match acceptor.accept(token).await {
        Ok(accepted) => Ok(accepted),
        Err(error) => refused(&error),
    }
}

/// The log has the details; the caller gets what it can mend.
fn refused(error: &NegotiateError) -> Result<Accepted> {
    warn!(%error, "a ticket was refused");
    let code = if error.is_servers_fault() { ErrorCode::Unavailable } else { ErrorCode::Unauthenticated };
    Err(HubError::new(code, error.public()))
}
