//! Who is asking.
//!
//! Before a request comes to its handler, [`identify`] finds out who makes it: by the header `Authorization` (a token, a Kerberos
//! ticket), by the cookie of a session, or, on a farm for one person, by being on this machine. What the route wants of that is in
//! the table of [`access`](crate::access). Handlers take a [`Caller`] where there must be a person, and a [`Visitor`] where
//! anybody may look.

mod caller;
mod credentials;
mod identify;
mod session;

pub use caller::{Address, Caller, Visitor, unknown};
pub use identify::identify;
pub use session::{end_cookie, session_cookie, session_token};
