//! How a request fails, and what the caller is told.
//!
//! Expected refusals carry a sentence for a person. Everything else is our fault: the caller gets a number, and the log has
//! the details under the same number.

use axum::{
    Json,
    extract::rejection::{FormRejection, JsonRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use farm_api::error::{ErrorBody, ErrorCode, Reason};
use farm_daemon::http::retry_after;
use farm_db::DbError;
use farm_store::StoreError;
use tracing::{error, warn};

/// How a password is asked for (RFC 7617).
const PASSWORD: HeaderValue = HeaderValue::from_static("Basic realm=\"farm\", charset=\"UTF-8\"");

/// Why a request was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// We refuse.
    #[error("{}", .0.message)]
    Refused(ErrorBody),
    /// Only somebody who is known may see it, and the asker can show that in no other way than by a password.
    #[error("this is not for everybody: come with any user name, and a token of the farm as the password")]
    AskForPassword,
    /// The database refuses or fails.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The store refuses or fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A page could not be made.
    #[error("a page could not be made: {0}")]
    Page(#[from] tera::Error),
    /// A task of ours ended early.
    #[error("a part of the work was cut off: {0}")]
    CutOff(#[from] tokio::task::JoinError),
    /// Anything else that is a mistake of ours.
    #[error("{0}")]
    Mistake(String),
}

/// What a handler answers.
pub type Result<T, E = AppError> = std::result::Result<T, E>;

impl AppError {
    /// A refusal with one message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused(ErrorBody::new(code, message))
    }

    /// The request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// Understood, and refused with every reason.
    pub fn refused(reasons: Vec<Reason>) -> Self {
        let message = match &reasons[..] {
            [one] => one.message.clone(),
            many => format!("there are {} problems: {}", many.len(), sentences(many)),
        };
        Self::Refused(ErrorBody { reasons, ..ErrorBody::new(ErrorCode::Refused, message) })
    }

    /// What the caller is told. What he is not told goes to the log here, and only here.
    pub fn into_body(self) -> ErrorBody {
        match self {
            Self::Refused(body) => body,
            Self::AskForPassword => ErrorBody::new(ErrorCode::Unauthenticated, self.to_string()),
            Self::Database(DbError::NotFound(message)) => ErrorBody::new(ErrorCode::NotFound, message),
            Self::Database(DbError::Forbidden(message)) => ErrorBody::new(ErrorCode::Forbidden, message),
            Self::Database(DbError::Limit(message)) => ErrorBody::new(ErrorCode::LimitReached, message),
            Self::Database(DbError::Conflict(message) | DbError::LeaseLost(message)) => {
                ErrorBody::new(ErrorCode::Conflict, message)
            }
            Self::Database(error @ DbError::Unavailable(_)) => {
                warn!(%error, "a request has to wait for the database");
                let message = "the farm cannot reach its database at the moment; nothing was lost, try again soon";
                ErrorBody::new(ErrorCode::Unavailable, message)
            }
            // Who is many is not written down one by one: see farm_database_refused_total.
            Self::Database(error @ DbError::Busy) => {
                ErrorBody::new(ErrorCode::Unavailable, format!("{error}; nothing was lost, try again soon"))
            }
            Self::Store(error @ StoreError::Full { .. }) => {
                error!(%error, "the store is full");
                let message = "the farm's store is full; what arrived is kept, go on when an operator has made room";
                ErrorBody::new(ErrorCode::StoreFull, message)
            }
            // Whoever sees this knows from the store's words what to do: wait, or send other bytes.
            Self::Store(error @ StoreError::InUse(_)) => ErrorBody::new(ErrorCode::WrongOffset, error.to_string()),
            Self::Store(error @ (StoreError::DigestMismatch { .. } | StoreError::SizeMismatch { .. })) => {
                ErrorBody::new(ErrorCode::Refused, error.to_string())
            }
            Self::Store(error @ StoreError::Body(_)) => ErrorBody::new(ErrorCode::BadRequest, error.to_string()),
            error @ (Self::Database(_) | Self::Store(_) | Self::Page(_) | Self::CutOff(_) | Self::Mistake(_)) => {
                mistake(&error)
            }
        }
    }
}

fn sentences(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.message.as_str()).collect::<Vec<_>>().join("; ")
}

fn mistake(error: &AppError) -> ErrorBody {
    let number = format!("{:08x}", rand::random::<u32>());
    error!(error.number = %number, error = %error, "a request failed");
    let message = format!("the farm made a mistake; its log has the details under the number {number}");
    ErrorBody::new(ErrorCode::Internal, message)
}

impl IntoResponse for AppError {
    /// As JSON. Its body goes along as an extension, from which pages make a page.
    fn into_response(self) -> Response {
        let asks = matches!(self, Self::AskForPassword);
        let body = self.into_body();
        let status = StatusCode::from_u16(body.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&body)).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if body.code == ErrorCode::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after());
        }
        if asks {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, PASSWORD);
        }
        response.extensions_mut().insert(body);
        response
    }
}

impl From<JsonRejection> for AppError {
    fn from(rejection: JsonRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(
                ErrorCode::TooLarge,
                "the request is larger than any job needs; files go to /api/v1/uploads",
            );
        }
        Self::bad_request(rejection.body_text())
    }
}

impl From<QueryRejection> for AppError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<PathRejection> for AppError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<FormRejection> for AppError {
    fn from(rejection: FormRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}
