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
    entries: Vec<Row>,
    older: Option<String>,
}

#[derive(Serialize)]
struct Row {
    line: AuditEntry,
    /// The page of what it was done to, where there is one.
    url: Option<String>,
}

impl Row {
    fn new(line: AuditEntry) -> Self {
        let url = line.object.split_once(' ').and_then(|(kind, name)| match kind {
            "job" => name.parse().ok().map(paths::job),
            "task" => name.parse().ok().map(paths::task),
            "builder" => name.parse().ok().map(|name| paths::builder(&name)),
            "platform" => name.parse().ok().map(|name| paths::platform(&name)),
            _ => None,
        });
        Self { line, url }
    }
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
    let entries = entries.into_iter().map(Row::new).collect();
    render("audit.html", &Visitor(Some(caller)), &AuditPage { page: "audit", filter: form, entries, older })
}
