//! A person who makes a request, and somebody who looks.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use farm_api::error::ErrorCode;
use farm_daemon::http::ClientAddress;
use farm_db::{Actor, Viewer};
use farm_types::{PersonId, Scope, Way};
use serde::Serialize;

use crate::{App, error::AppError};

/// A person who makes a request. A handler that needs one takes it as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person's number.
    pub person: PersonId,
    /// The principal.
    pub principal: String,
    /// How it is known who that is.
    pub way: Way,
    /// For how long the ticket is good that came with this very request; nothing that is given for it should live longer.
    pub ticket_seconds: Option<u32>,
    /// Whether it all goes back to a token, by way of a session too: such a one makes no tokens.
    pub by_token: bool,
    /// What that way is good for.
    pub scopes: Vec<Scope>,
    /// Where the request comes from.
    pub address: String,
    /// What a form has to send along, when the person is known by the cookie of a session.
    pub csrf: Option<String>,
}

impl Caller {
    /// As the one who causes a change.
    pub fn actor(&self) -> Actor {
        Actor { principal: self.principal.clone(), way: self.way, address: Some(self.address.clone()) }
    }

    /// Whether what the person came with is good for that.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, AppError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unknown)
    }
}

/// Nobody is known, and somebody has to be.
pub fn unknown() -> AppError {
    let message = "say who you are: with a Kerberos ticket (kinit), or with a token";
    AppError::new(ErrorCode::Unauthenticated, message)
}

/// Whoever looks at a page or asks for what anybody may see.
#[derive(Debug, Clone, Default)]
pub struct Visitor(pub Option<Caller>);

/// Where a request comes from: an IP address, or `local`.
#[derive(Debug, Clone)]
pub struct Address(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<ClientAddress>().map(|address| address.0.clone());
        Ok(Self(address.unwrap_or_else(|| "local".to_owned())))
    }
}

impl Visitor {
    /// What this visitor sees: a token that is not for reading shows what anybody sees.
    pub fn viewer(&self) -> Viewer {
        Viewer(self.0.as_ref().filter(|caller| caller.has(Scope::Read)).map(|caller| caller.person))
    }

    /// What pages know of their visitor.
    pub fn shown(&self) -> Shown {
        let caller = self.0.as_ref();
        Shown {
            principal: caller.map(|caller| caller.principal.clone()),
            csrf: caller.and_then(|caller| caller.csrf.clone()).unwrap_or_default(),
            has_session: caller.is_some_and(|caller| caller.way == Way::Session),
        }
    }
}

/// What pages know of their visitor.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Shown {
    /// Who it is, where that is known.
    pub principal: Option<String>,
    /// What forms send along.
    pub csrf: String,
    /// Whether there is a session to end.
    pub has_session: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Caller>().cloned()))
    }
}
