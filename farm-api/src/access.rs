//! Who is who, who may what, and who did what: what `farm whoami`, `farm token` and `farm-admin` show.

use farm_types::{Scope, TokenKind, Way};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::limits;

/// What a person is to the farm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// The identity, `alice@EXAMPLE.ORG` or a local user's name.
    pub principal: String,
    /// The groups that the person is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What the person may do, as in `submit:scratch`, `build:*`, `admin`.
    #[serde(default)]
    pub rights: Vec<String>,
    /// What the person may use up.
    #[serde(default)]
    pub limits: Limits,
    /// What one build of the person may use up.
    #[serde(default)]
    pub build_limits: limits::Limits,
    /// What of that is used up.
    #[serde(default)]
    pub used: Limits,
    /// How much of a busy platform's build time the person gets: one of 2 twice as much as one of 1.
    #[serde(default = "usual_share")]
    pub share: f64,
}

/// The share of whoever nothing was said of.
fn usual_share() -> f64 {
    1.0
}

/// What a person may use up, or has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Limits {
    /// Jobs that have not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_waiting: Option<i64>,
    /// Uploads under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploads: Option<i64>,
    /// Bytes of sources, results and uploads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Sources of one job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<i64>,
}

/// Who is asking, as the server sees it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// What the person is to the farm.
    #[serde(flatten)]
    pub account: Account,
    /// How the server knows: `ticket`, `token`, `session`, `local`.
    pub way: Way,
    /// What that way is good for.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// What version of the farm this is.
    pub version: String,
    /// The largest file it takes, so that nobody reads a larger one in vain.
    #[serde(default)]
    pub max_upload_bytes: Option<u64>,
}

/// Asks for a token for scripts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What its owner calls it: letters, digits, dots, dashes and underscores, 50 at the most.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// For how many days; 90 when absent, 366 at the most.
    #[serde(default)]
    pub days: Option<u32>,
}

/// A token that was just made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct MadeToken {
    /// The number by which it is revoked.
    pub id: i64,
    /// The secret. It is shown now and never again.
    pub token: String,
}

impl std::fmt::Debug for MadeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A token or session that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenInfo {
    /// The number by which it is revoked.
    pub id: i64,
    /// Whose it is.
    pub person: String,
    /// What it is.
    pub kind: TokenKind,
    /// What its owner calls it; absent of a session.
    pub name: Option<String>,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[schema(value_type = String)]
    pub created: Timestamp,
    /// Until when it is good.
    #[schema(value_type = String)]
    pub expires: Timestamp,
    /// When it was used last, to the minute.
    #[schema(value_type = Option<String>)]
    pub used: Option<Timestamp>,
}

/// Which lines of the audit to show, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Only what that principal did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only what was done to that, as in `job 42`, `builder host1`, `right submit:scratch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Only that kind of deed, as in `submit`, `cancel`, `grant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only what was done since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub since: Option<Timestamp>,
    /// Only lines before that one: the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// At most so many; 100 when absent, 1000 at the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A line of the audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number; they grow.
    pub id: i64,
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// How that was known.
    pub way: Way,
    /// Where from.
    pub address: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// More about it.
    pub details: serde_json::Value,
    /// The process that wrote it down, by its own ticket or role.
    pub process: String,
}

/// A person who is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// The principal.
    pub principal: String,
    /// Whether the person is let in.
    pub enabled: bool,
    /// Since when the name is known.
    pub created: Timestamp,
    /// Jobs ever handed in.
    pub jobs: i64,
    /// What the person may use up.
    pub limits: Limits,
    /// Which of these limits were set for this person; the others are everybody's.
    pub own_limits: Limits,
    /// How much of a busy platform's build time the person gets, against others.
    pub share: f64,
    /// The share that was set for this person; else it is the greatest of the person's groups, or 1.
    pub own_share: Option<f64>,
}

/// A group of persons.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Who was put into it.
    pub members: Vec<String>,
    /// Whoever's principal looks like one of these is in it.
    pub rules: Vec<String>,
    /// The share of each who is in it, where one was set.
    pub share: Option<f64>,
}

/// A right that was given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrantInfo {
    /// As in `submit:scratch`.
    pub right: String,
    /// To whom: a principal, a group as in `@packagers`, or `everyone`.
    pub to: String,
    /// Since when.
    pub since: Timestamp,
}
