//! A token for a ticket.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a server gives for a ticket: `POST` with `Authorization: Negotiate …` to `/api/v1/token` or `/hub/v1/token`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginToken {
    /// The secret, for `Authorization: Bearer …`.
    pub token: String,
    /// Whose ticket it was.
    pub principal: String,
    /// Until when the token is good.
    #[schema(value_type = String)]
    pub expires: Timestamp,
}

impl std::fmt::Debug for LoginToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginToken").field("principal", &self.principal).finish_non_exhaustive()
    }
}
