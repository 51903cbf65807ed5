//! Who did what.

use axum::{Json, extract::State};
use farm_api::{
    access::{AuditEntry, AuditFilter},
    error::ErrorCode,
};
use farm_db::access;
use farm_types::Right;

use crate::{
    App, Caller,
    error::{AppError, Result},
    extract::Query,
};

/// What was done, newest first. For administrators.
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditFilter), responses((status = 200, body = [AuditEntry])))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<AuditFilter>,
) -> Result<Json<Vec<AuditEntry>>> {
    find(&app, &caller, filter).await.map(Json)
}

/// The lines that a filter lets through, for the API and the page.
pub async fn find(app: &App, caller: &Caller, filter: AuditFilter) -> Result<Vec<AuditEntry>> {
    let words = [&filter.actor, &filter.object, &filter.action];
    if words.into_iter().flatten().any(|word| word.contains('\0')) {
        return Err(AppError::bad_request("a word of the filter has a zero byte in it"));
    }
    let person = caller.person;
    let found = app
        .db(move |conn| {
            let may = access::may(conn, person, Right::Admin, None)?;
            if may { access::audit(conn, &filter).map(Some) } else { Ok(None) }
        })
        .await?;
    found.ok_or_else(|| {
        AppError::new(ErrorCode::Forbidden, "the audit is for administrators: it takes the right “admin”")
    })
}
