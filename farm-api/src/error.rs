//! The one form in which the farm's HTTP APIs refuse.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What kind of refusal it is.
    pub code: ErrorCode,
    /// What happened, to what, and what to do next: a sentence for a person.
    pub message: String,
    /// Every single reason, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Of an upload that cannot go on where the sender wants to: how many bytes of it are here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// One reason of a refusal or one warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// Stable name of the reason, for scripts: `unknown_target`, `payload_digest`.
    pub code: String,
    /// The source it is about, counted from 1; absent when it is about the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<u32>,
    /// The reason as a sentence.
    pub message: String,
}

/// Kinds of refusal. Each belongs to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// 400: the request cannot be understood.
    BadRequest,
    /// 401: who is asking is not known.
    Unauthenticated,
    /// 403: who is asking may not.
    Forbidden,
    /// 404: there is no such thing.
    NotFound,
    /// 409: it contradicts what is there.
    Conflict,
    /// 410: the lease is gone; the builder stops that build.
    LeaseLost,
    /// 413: larger than allowed.
    TooLarge,
    /// 416 or 409 for uploads: the bytes do not begin where the last ones ended.
    WrongOffset,
    /// 422: understood, and refused with reasons.
    Refused,
    /// 422: more than who is asking may use up; the message names the limits.
    LimitReached,
    /// 429: too many requests of one caller at the same time; try again later.
    TooMany,
    /// 503: try again later; nothing was lost.
    Unavailable,
    /// 507: the store is full.
    StoreFull,
    /// 500: the farm made a mistake; its log has the details under the given number.
    Internal,
}

impl ErrorCode {
    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict | Self::WrongOffset => 409,
            Self::LeaseLost => 410,
            Self::TooLarge => 413,
            Self::Refused | Self::LimitReached => 422,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::StoreFull => 507,
        }
    }
}

impl ErrorBody {
    /// A refusal with one message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), reasons: Vec::new(), offset: None }
    }
}
