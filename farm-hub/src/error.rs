//! How a call is refused. Expected refusals carry a sentence for a person; everything else is a mistake of ours, whose
//! details are in the log under the number that the caller gets.

use axum::{
    Json,
    extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use farm_api::error::{ErrorBody, ErrorCode};
use farm_daemon::http::retry_after;
use farm_db::DbError;
use farm_store::StoreError;
use tracing::{error, warn};

/// Why a call was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    /// The hub refuses.
    #[error("{1}")]
    Refused(ErrorCode, String),
    /// The database refuses or fails.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The store refuses or fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the work panicked.
    #[error("a part of the work was cut off: {0}")]
    CutOff(#[from] tokio::task::JoinError),
    /// What should always go did not.
    #[error("cannot write an answer: {0}")]
    Answer(#[from] serde_json::Error),
}

/// What a call answers.
pub(crate) type Result<T, E = HubError> = std::result::Result<T, E>;

impl HubError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused(code, message.into())
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// What the caller is told. What it is not told goes to the log here, and only here.
    fn into_body(self) -> ErrorBody {
        use ErrorCode as Code;
        let (code, message) = match self {
            Self::Refused(code, message) => (code, message),
            Self::Database(DbError::NotFound(message)) => (Code::NotFound, message),
            Self::Database(DbError::Conflict(message)) => (Code::Conflict, message),
            Self::Database(DbError::LeaseLost(message)) => (Code::LeaseLost, message),
            Self::Database(DbError::Forbidden(message)) => (Code::Forbidden, message),
            Self::Database(error @ DbError::Unavailable(_)) => {
                warn!(%error, "a builder has to wait for the database");
                (Code::Unavailable, "the hub cannot reach its database; nothing was lost, try again soon".to_owned())
            }
            // Who is many is not written down one by one: see farm_database_refused_total.
            Self::Database(error @ DbError::Busy) => {
                (Code::Unavailable, format!("{error}; nothing was lost, try again soon"))
            }
            Self::Store(error @ StoreError::Full { .. }) => {
                error!(%error, "the store is full");
                (Code::StoreFull, "the farm's store is full; send it again when an operator has made room".to_owned())
            }
            Self::Store(error @ (StoreError::DigestMismatch { .. } | StoreError::SizeMismatch { .. })) => {
                (Code::Refused, error.to_string())
            }
            Self::Store(error @ StoreError::Body(_)) => (Code::BadRequest, error.to_string()),
            Self::Store(error @ (StoreError::Io { .. } | StoreError::Object { .. })) => {
                error!(%error, "the store fails");
                (Code::Unavailable, "the farm's store fails; nothing was lost, try again soon".to_owned())
            }
            error => return mistake(&error),
        };
        ErrorBody::new(code, message)
    }
}

fn mistake(error: &HubError) -> ErrorBody {
    let number = uuid::Uuid::new_v4().simple().to_string();
    error!(error.number = %number, %error, "a call failed");
    let message = format!("the hub made a mistake; its log has the details under the number {number}");
    ErrorBody::new(ErrorCode::Internal, message)
}

impl IntoResponse for HubError {
    fn into_response(self) -> Response {
        let body = self.into_body();
        let code = body.code;
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        if code == ErrorCode::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after());
        }
        response
    }
}

impl From<JsonRejection> for HubError {
    fn from(rejection: JsonRejection) -> Self {
        unreadable(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for HubError {
    fn from(rejection: BytesRejection) -> Self {
        unreadable(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for HubError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<PathRejection> for HubError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

fn unreadable(status: StatusCode, message: String) -> HubError {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => HubError::new(ErrorCode::TooLarge, message),
        _ => HubError::bad_request(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(error: impl Into<HubError>) -> (u16, bool) {
        let response = error.into().into_response();
        (response.status().as_u16(), response.headers().contains_key(header::RETRY_AFTER))
    }

    #[test]
    fn what_passes_is_told_apart_from_what_an_operator_has_to_mend_and_from_our_mistakes() {
        assert_eq!(status(DbError::Unavailable("away".to_owned())), (503, true));
        assert_eq!(
            status(StoreError::Io { doing: "write".to_owned(), source: std::io::Error::other("bad disk") }),
            (503, true)
        );
        assert_eq!(status(StoreError::Full { store: "folder".to_owned(), asked: 1 }), (507, false));
        assert_eq!(status(DbError::LeaseLost("gone".to_owned())), (410, false));
        assert_eq!(status(DbError::Data("odd".to_owned())), (500, false));
    }

    #[test]
    fn the_details_of_a_mistake_are_for_the_log_alone() {
        let body = HubError::from(DbError::Data("secret".to_owned())).into_body();
        assert!(body.message.contains("under the number") && !body.message.contains("secret"), "{}", body.message);
    }
}
