//! HTTP clients of the farm's two APIs.
//!
//! - [`transport`]: one server's address and who we are there, by a token or by a login with a Kerberos ticket;
//! - [`call`]: how a call is made: timeout, repetition, typed errors;
//! - [`error`]: every way in which a call can fail;
//! - [`people`]: the API of farm-web, with resumed uploads in [`upload`] and a job's [`events`].

pub mod call;
pub mod error;
pub mod events;
mod login;
pub mod people;
pub mod transport;
pub mod upload;

pub use call::{Bytestream, Call, Repeat};
pub use error::ClientError;
pub use events::{JobEvent, JobEvents};
pub use people::{LogQuery, PeopleClient};
pub use transport::Transport;
pub use upload::Uploaded;
