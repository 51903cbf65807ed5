//! What can go wrong between the farm and its database.

use diesel::result::{DatabaseErrorKind, Error as Diesel};

/// Result of everything here.
pub type Result<T, E = DbError> = std::result::Result<T, E>;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// There is no such thing. The text is for people.
    #[error("{0}")]
    NotFound(String),
    /// It contradicts what is there. The text is for people.
    #[error("{0}")]
    Conflict(String),
    /// Who asks may not. The text is for people.
    #[error("{0}")]
    Forbidden(String),
    /// It is more than who asks may use up. The text names the limits.
    #[error("{0}")]
    Limit(String),
    /// The lease is gone: whoever asks must stop that build.
    #[error("{0}")]
    LeaseLost(String),
    /// The database cannot be reached or is shutting down; the same call may go through later.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// Too much waits for the database already; the same call may go through later.
    #[error("more is asked of the database than it can do at the moment")]
    Busy,
    /// What the database answered is not what this version of the farm expects.
    #[error("unexpected data in the database: {0}")]
    Data(String),
    /// Any other error of the database: a mistake of ours.
    #[error("the database refused a statement: {0}")]
    Sql(Diesel),
}

impl DbError {
    /// The same error once more, for another one of those whom it concerns.
    pub fn again(&self) -> Self {
        match self {
            Self::NotFound(text) => Self::NotFound(text.clone()),
            Self::Conflict(text) => Self::Conflict(text.clone()),
            Self::Forbidden(text) => Self::Forbidden(text.clone()),
            Self::Limit(text) => Self::Limit(text.clone()),
            Self::LeaseLost(text) => Self::LeaseLost(text.clone()),
            Self::Unavailable(text) => Self::Unavailable(text.clone()),
            Self::Busy => Self::Busy,
            Self::Data(text) => Self::Data(text.clone()),
            Self::Sql(Diesel::DatabaseError(kind, info)) => {
                Self::Sql(Diesel::DatabaseError(*kind, Box::new(info.message().to_owned())))
            }
            Self::Sql(other) => Self::Sql(Diesel::QueryBuilderError(other.to_string().into())),
        }
    }
}

impl From<Diesel> for DbError {
    fn from(error: Diesel) -> Self {
        match error {
            Diesel::NotFound => Self::NotFound("there is no such thing".to_owned()),
            Diesel::DatabaseError(DatabaseErrorKind::ClosedConnection, info) => {
                Self::Unavailable(info.message().trim().to_owned())
            }
            // A replica, or a server that was demoted. No verb changes anything on one by mistake, as none is meant for one.
            Diesel::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, info) => {
                Self::Unavailable(info.message().trim().to_owned())
            }
            Diesel::BrokenTransactionManager => Self::Unavailable("the connection broke in a transaction".to_owned()),
            Diesel::DatabaseError(kind, info) => match info.constraint_name() {
                Some("farm_not_found") => Self::NotFound(info.message().to_owned()),
                Some("farm_conflict") => Self::Conflict(info.message().to_owned()),
                Some("farm_forbidden") => Self::Forbidden(info.message().to_owned()),
                Some("farm_limit") => Self::Limit(info.message().to_owned()),
                Some("farm_lease_lost") => Self::LeaseLost(info.message().to_owned()),
                _ if lost_server(info.message()) => Self::Unavailable(info.message().trim().to_owned()),
                _ => Self::Sql(Diesel::DatabaseError(kind, info)),
            },
            other => Self::Sql(other),
        }
    }
}

/// Diesel hides the SQLSTATE, so a server that goes away in the middle of a statement is known by libpq's words.
fn lost_server(message: &str) -> bool {
    [
        "terminating connection",
        "server closed the connection",
        "connection to server",
        "the database system is",
        "no connection to the server",
        "could not receive data from server",
        "could not send data to server",
        "SSL SYSCALL error",
        "GSSAPI unwrap error",
        "SSL connection has been closed",
        "canceling statement due to conflict with recovery",
        "canceling the wait for synchronous replication",
    ]
    .iter()
    .any(|words| message.contains(words))
}

impl From<diesel::ConnectionError> for DbError {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Unavailable(error.to_string().trim().to_owned())
    }
}

impl From<serde_json::Error> for DbError {
    fn from(error: serde_json::Error) -> Self {
        Self::Data(error.to_string())
    }
}
