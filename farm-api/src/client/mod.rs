//! HTTP clients of the farm's two APIs.
//!
//! - [`transport`]: one server's address, who we are there, and how a call is made: timeout, repetition, typed errors;
//! - [`error`]: every way in which a call can fail;
//! - [`people`]: the API of farm-web, with resumed uploads in [`upload`] and a job's [`events`].

pub mod error;
pub mod events;
pub mod people;
pub mod transport;
pub mod upload;

pub use error::ClientError;
pub use events::{JobEvent, JobEvents};
pub use people::{LogQuery, PeopleClient};
pub use transport::{Bytestream, Call, Repeat, Transport};
pub use upload::Uploaded;
