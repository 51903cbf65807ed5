//! Who calls, and with which lease: read from the headers before anything else is done.

use axum::{
    extract::{FromRequest, FromRequestParts},
    http::request::Parts,
};
use farm_api::{error::ErrorCode, hub::LEASE_HEADER};
use farm_daemon::http::ClientAddress;
use farm_db::operator::KnownBuilder;
use farm_types::LeaseKey;

use crate::{
    error::{HubError, Result},
    hub::Shared,
};

/// The builder that calls.
pub(crate) struct Caller(pub(crate) KnownBuilder);

impl FromRequestParts<Shared> for Caller {
    type Rejection = HubError;

    async fn from_request_parts(parts: &mut Parts, hub: &Shared) -> Result<Self> {
        let refuse = |message| HubError::new(ErrorCode::Unauthenticated, message);
        let token = farm_auth::bearer(&parts.headers).map_err(|e| refuse(e.to_string()))?;
        let digest = token.digest();
        let changes = match hub.tokens.get(&digest) {
            Ok(builder) => return Ok(Self(builder)),
            Err(changes) => changes,
        };
        let found = hub.batches.tokens.run(digest).await?;
        let builder = found.ok_or_else(|| {
            refuse("no builder has this token; an operator makes a new one with `farm-admin builder add`".to_owned())
        })?;
        hub.tokens.put(digest, builder.clone(), changes);
        Ok(Self(builder))
    }
}

/// Where a call comes from: an IP address, or `local`.
pub(crate) struct Origin(pub(crate) String);

impl FromRequestParts<Shared> for Origin {
    type Rejection = HubError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self> {
        let address = parts.extensions.get::<ClientAddress>().map(|address| address.0.clone());
        Ok(Self(address.unwrap_or_else(|| "local".to_owned())))
    }
}

/// The lease that a call is about. It is not proven yet.
pub(crate) struct Held(pub(crate) LeaseKey);

impl FromRequestParts<Shared> for Held {
    type Rejection = HubError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self> {
        let value = parts.headers.get(LEASE_HEADER).and_then(|value| value.to_str().ok());
        let value = value.ok_or_else(|| HubError::bad_request("the header Farm-Lease is missing"))?;
        value.parse().map(Self).map_err(|e| HubError::bad_request(format!("Farm-Lease: {e}")))
    }
}

/// A body of JSON.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(HubError))]
pub(crate) struct Document<T>(pub(crate) T);

/// What a program said, as a text that PostgreSQL can hold: it takes every character but one.
pub(crate) fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}
