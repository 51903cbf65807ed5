//! From what a request brings to the person who makes it.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use farm_api::error::ErrorCode;
use farm_auth::{
    Token,
    negotiate::{Accepted, NegotiateError, www_authenticate},
};
use farm_daemon::http::ClientAddress;
use farm_db::access::{self, KnownPerson, TokenBearer};
use farm_types::{Scope, TokenKind, Way};
use jiff::Timestamp;
use tracing::warn;

use super::{
    caller::Caller,
    credentials::{Credentials, credentials},
    session::csrf,
};
use crate::{
    App,
    error::{AppError, Result},
};

/// Finds out who makes a request and passes that on with it. Whoever shows something that is not good is refused here, also
/// where nobody need be known.
pub async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let mut proof = None;
    let mut response = match caller(&app, request.headers(), address(&request), &mut proof).await {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    if let Some(proof) = proof {
        // Our half of the exchange: the client knows by it that we are who we say.
        response.headers_mut().insert(header::WWW_AUTHENTICATE, www_authenticate(&proof));
    } else if response.status() == StatusCode::UNAUTHORIZED && app.acceptor.is_some() {
        // Beside a password, where one is asked for: the client takes what it has.
        response.headers_mut().append(header::WWW_AUTHENTICATE, www_authenticate(&[]));
    }
    response
}

fn address(request: &Request) -> String {
    request.extensions().get::<ClientAddress>().map_or_else(|| "local".to_owned(), |address| address.0.clone())
}

async fn caller(
    app: &App,
    headers: &HeaderMap,
    address: String,
    proof: &mut Option<Vec<u8>>,
) -> Result<Option<Caller>> {
    let all = Scope::ALL.to_vec();
    Ok(Some(match credentials(headers)? {
        Credentials::Token(token) => {
            let found = by_token(app, &token).await?.filter(|found| found.kind != TokenKind::Session);
            let TokenBearer { known, kind, scopes, .. } = found.ok_or_else(|| {
                let message = "this token is not known, not good any more, or was revoked; make a new one";
                AppError::new(ErrorCode::Unauthenticated, message)
            })?;
            // What was given for a ticket a moment ago stands for the ticket.
            let way = if kind == TokenKind::Login { Way::Ticket } else { Way::Token };
            person(known, way, scopes, address)
        }
        Credentials::Session(token) => {
            // A cookie that is too old is nothing that anybody said.
            let Some(found) = by_token(app, &token).await?.filter(|found| found.kind == TokenKind::Session) else {
                return Ok(None);
            };
            Caller {
                csrf: Some(csrf(&token)),
                by_token: found.derived,
                ..person(found.known, Way::Session, found.scopes, address)
            }
        }
        Credentials::Ticket(ticket) => {
            let accepted = accept(app, ticket).await?;
            *proof = Some(accepted.reply);
            let ticket_seconds = Some(u32::try_from(accepted.lifetime.as_secs()).unwrap_or(u32::MAX).max(1));
            let known = by_principal(app, accepted.principal).await?;
            Caller { ticket_seconds, ..person(known, Way::Ticket, all, address) }
        }
        Credentials::None => match app.config.local_user.clone().filter(|_| !is_forwarded(headers)) {
            Some(user) => person(by_principal(app, user).await?, Way::Local, all, address),
            None => return Ok(None),
        },
    }))
}

/// Whether a proxy says that the request comes from elsewhere, though it comes from this machine.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED)
}

fn person(known: KnownPerson, way: Way, scopes: Vec<Scope>, address: String) -> Caller {
    Caller {
        person: known.person,
        principal: known.principal,
        way,
        ticket_seconds: None,
        by_token: way == Way::Token,
        scopes,
        address,
        csrf: None,
    }
}

async fn by_principal(app: &App, principal: String) -> Result<KnownPerson> {
    app.db(move |conn| access::caller_by_principal(conn, &principal)).await
}

async fn by_token(app: &App, token: &Token) -> Result<Option<TokenBearer>> {
    let digest = token.digest();
    let remembered = app.known.get(&digest);
    if let Ok(bearer) = &remembered
        && bearer.expires > Timestamp::now()
    {
        return Ok(Some(bearer.clone()));
    }
    let found = app.db(move |conn| access::caller_by_token(conn, &digest)).await?;
    if let (Some(bearer), Err(changes)) = (&found, remembered) {
        app.known.put(digest, bearer.clone(), changes);
    }
    Ok(found)
}

/// The log has the details of a refusal; the caller gets what a caller can mend.
async fn accept(app: &App, ticket: Vec<u8>) -> Result<Accepted> {
    let Some(acceptor) = &app.acceptor else {
        return Err(AppError::new(ErrorCode::Unauthenticated, "this farm takes no Kerberos tickets, only tokens"));
    };
    acceptor.accept(ticket).await.map_err(|error: NegotiateError| {
        warn!(%error, "a ticket was refused");
        let code = if error.is_servers_fault() { ErrorCode::Unavailable } else { ErrorCode::Unauthenticated };
        AppError::new(code, error.public())
    })
}
