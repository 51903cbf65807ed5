//! A private PostgreSQL: a server of its own in a folder of its own, reached by a unix socket only, unless told otherwise.
//!
//! `farm-admin up` keeps the farm's data in one; every test process has a throw-away one. Programs of the system's
//! PostgreSQL packages are used, none is shipped.
//!
//! # Who may connect
//!
//! There is no TCP and no password: whoever opens the socket may be any role. The folder guards it. It has mode 0700 and
//! belongs to the user that the server runs as: the one who started it, or, if that is root (as whom PostgreSQL refuses to
//! run), the system's user `postgres`, or `nobody`. So that user and root can connect, nobody else. No build may run as it.
//!
//! With [`Kerberos`] it also listens on TCP, on 127.0.0.1, and lets in who has a ticket, as the role that goes with it.
//!
//! # Nothing outlives its owner
//!
//! The server is the child of a *keeper*, a few lines of shell that hold the read end of a pipe. The write end is in this
//! process, so however it ends, even by SIGKILL, the keeper learns of it, shuts the server down in good order, and removes
//! the folder of a temporary one.

mod account;
mod error;
mod kerberos;
mod log;
mod orphan;
mod programs;
mod server;

pub use error::PostgresError;
pub use kerberos::Kerberos;
pub use log::Ended;
pub use programs::{OLDEST_VERSION, Programs};
pub use server::{Follows, Options, PrivatePostgres, Shutdown};
