//! What a login by Kerberos ticket brings: `POST /api/v1/token` for people, `POST /hub/v1/token` for builders.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A bearer token for a short while, in exchange for a Kerberos ticket. The answer that carries it is not to be cached, and its
/// `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginToken {
    /// The token, for the header `Authorization: Bearer …`.
    pub token: String,
    /// Who the server takes the caller for: `alice@EXAMPLE.ORG`.
    pub principal: String,
    /// When it is no longer good, by the server's clock.
    #[schema(value_type = String)]
    pub expires: Timestamp,
}

impl fmt::Debug for LoginToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token: _, principal, expires } = self;
        f.debug_struct("LoginToken")
            .field("token", &"…")
            .field("principal", principal)
            .field("expires", expires)
            .finish()
    }
}
