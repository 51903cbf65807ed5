//! Every way in which a call to a server of the farm can fail.

use std::{error::Error, io, time::Duration};

use crate::error::{ErrorBody, ErrorCode};

/// A call that brought no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("“{address}” is no address of a server: {why}; one looks like http://farm.example.org/")]
    BadAddress {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answered, or the connection broke.
    #[error("cannot reach the farm at {url}: {why}")]
    Unreachable {
        /// The server, or what was asked of it.
        url: String,
        /// The reason at the bottom: `Connection refused`.
        why: String,
    },
    /// The server is there and cannot do it now: 429, 500, 503, 507 and the like.
    #[error("the farm at {url} cannot do that now: {}", body.message)]
    Unavailable {
        /// The server.
        url: String,
        /// What it said.
        body: Box<ErrorBody>,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The server understood and refuses.
    #[error("{}", .0.message)]
    Refused(Box<ErrorBody>),
    /// The caller may not do that, or has not said who he is: 401, 403.
    #[error("{}", .0.message)]
    NotAllowed(Box<ErrorBody>),
    /// The server asks who we are, and we cannot log in there with a Kerberos ticket.
    #[error("cannot log in at {url}: {why}")]
    Login {
        /// The server.
        url: String,
        /// What is wrong, and what to do.
        why: String,
        /// Whether it may well succeed a little later: no KDC answers.
        passing: bool,
    },
    /// Something answered, and not as the farm does.
    #[error("what answers at {url} does not speak as a farm does: {why}; is it the right address?")]
    BadAnswer {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// A file on this side could not be read.
    #[error(transparent)]
    Local(#[from] io::Error),
}

impl ClientError {
    /// What the server said, where it said something.
    pub fn body(&self) -> Option<&ErrorBody> {
        match self {
            Self::Unavailable { body, .. } | Self::Refused(body) | Self::NotAllowed(body) => Some(body),
            _ => None,
        }
    }

    /// The kind of refusal, where the server refused.
    pub fn code(&self) -> Option<ErrorCode> {
        self.body().map(|body| body.code)
    }

    /// When the server wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the same call may well succeed a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Login { passing, .. } => *passing,
            Self::Unavailable { body, .. } => matches!(body.code, ErrorCode::Unavailable | ErrorCode::TooMany),
            _ => false,
        }
    }

    /// A fault of the connection.
    pub(super) fn unreachable(url: &str, error: &reqwest::Error) -> Self {
        let why = match bottom(error) {
            _ if error.is_timeout() => "no answer in time".to_owned(),
            why if error.is_connect() => why,
            why => format!("the connection broke ({why})"),
        };
        Self::Unreachable { url: url.to_owned(), why }
    }
}

/// The reason at the bottom of an error: what is above it says `error sending request` and repeats the URL.
fn bottom(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
