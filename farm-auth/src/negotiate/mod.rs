//! Login by Kerberos ticket over HTTP: Negotiate, that is SPNEGO (RFC 4559).
//!
//! The client sends a token with its first request, the server proves itself with the one it answers: one exchange, and it
//! is repeated by nobody, as the server remembers every token it has seen. It is meant for one request that brings a
//! short-lived bearer token, not for every request: a token is bound to nothing else in the request that carries it, so
//! between hosts there has to be TLS around it.
//!
//! - [`negotiate_token`], [`www_authenticate`], [`offers_negotiate`], [`reply_token`]: the headers; always there;
//! - `Acceptor` (feature `server`): who comes;
//! - `Initiator` (feature `client`): going somewhere, and making sure of who answers.
//!
//! Where tickets and keys are is said by the environment, as everywhere with Kerberos: `KRB5_CONFIG`, `KRB5CCNAME`,
//! `KRB5_KTNAME` (keys of a server), `KRB5_CLIENT_KTNAME` (the key with which a daemon gets tickets by itself).

#[cfg(feature = "server")]
mod accept;
mod error;
#[cfg(any(feature = "server", feature = "client"))]
mod gss;
mod header;
#[cfg(feature = "client")]
mod initiate;

#[cfg(feature = "server")]
pub use accept::{Accepted, Acceptor};
pub use error::NegotiateError;
pub use header::{negotiate_token, offers_negotiate, reply_token, www_authenticate};
#[cfg(feature = "client")]
pub use initiate::Initiator;
