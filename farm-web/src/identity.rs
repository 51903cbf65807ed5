//! Who is asking.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use farm_auth::{Identity, Way};

use crate::App;

/// Who is asking. A handler that needs it takes it as an argument; it knows nothing of passwords, tickets or tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub Identity);

impl FromRequestParts<App> for Caller {
    type Rejection = Infallible;

    /// Only local addresses are listened on (see [`crate::Config`]), so whoever gets here is the local user.
    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(Identity { principal: app.config.local_user.clone(), how: Way::Local }))
    }
}
