//! Who is asking.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::App;

/// Who is asking, and how we know. A handler that needs it takes it as an argument; it knows nothing of passwords,
/// tickets or tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The identity, as jobs record it.
    pub principal: String,
    /// How we know: `local`.
    pub way: &'static str,
}

impl FromRequestParts<App> for Identity {
    type Rejection = Infallible;

    /// Only local addresses are listened on (see [`crate::Config`]), so whoever gets here is the local user.
    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self { principal: app.config.local_user.clone(), way: "local" })
    }
}
