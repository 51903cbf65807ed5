//! Who did what, for administrators.

use axum::extract::State;
use farm_api::{
    access::{AuditEntry, AuditFilter},
    paths,
};
use serde::{Deserialize, Serialize};

use super::{Page, templates::render};
use crate::{App, Caller, api::audit::find, extract::Query, identity::Visitor};

/// Lines on one page.
const LENGTH: u32 = 100;

/// The form above the list. A browser sends its empty fields too.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    actor: String,
    object: String,
    action: String,
    #[serde(skip_serializing)]
    before: Option<i64>,
}

#[derive(Serialize)]
struct AuditPage {
    page: &'static str,
    filter: Form,
    entries: Vec<AuditEntry>,
    older: Option<String>,
}

pub async fn page(State(app): State<App>, caller: Caller, Query(form): Query<Form>) -> Page {
    let word = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let filter = AuditFilter {
        actor: word(&form.actor),
        object: word(&form.object),
        action: word(&form.action),
        before: form.before,
        limit: Some(LENGTH),
        ..AuditFilter::default()
    };
    let entries = find(&app, &caller, filter).await?;
    let more = entries.len() == LENGTH as usize;
    let older = entries.last().filter(|_| more).map(|last| {
        let [actor, object, action] = [&form.actor, &form.object, &form.action].map(|word| paths::segment(word));
        format!("/audit?actor={actor}&object={object}&action={action}&before={}", last.id)
    });
    render("audit.html", &Visitor(Some(caller)), &AuditPage { page: "audit", filter: form, entries, older })
}
