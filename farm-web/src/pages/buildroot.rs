//! What a source was built in.

use axum::extract::State;
use farm_api::{
    paths,
    record::{BuildRecord, BuildrootView},
};
use farm_db::read;
use farm_types::{JobId, PlatformName, TaskId};
use serde::Serialize;

use super::{
    Page,
    filters::{bytes, duration},
    templates::render,
};
use crate::{
    App, buildroot,
    extract::{Name, Query},
    identity::Visitor,
};

#[derive(Serialize)]
struct BuildrootPage {
    page: &'static str,
    /// The packages that were built.
    title: String,
    job: JobId,
    job_url: String,
    task_url: String,
    platform: PlatformName,
    /// The chroots of the attempt, where there are several.
    sources: Vec<SourceLink>,
    /// What was asked of the build and what kept it apart, as lines.
    isolation: Vec<(String, String)>,
    options: Vec<(String, String)>,
    limits: Vec<(String, String)>,
    since_url: String,
    view: BuildrootView,
    record: BuildRecord,
}

#[derive(Serialize)]
struct SourceLink {
    name: String,
    url: String,
    shown: bool,
}

pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Name(id): Name<TaskId>,
    Query(choice): Query<buildroot::Choice>,
) -> Page {
    let viewer = visitor.viewer();
    let (view, mut record) = buildroot::view(&app, viewer, id, choice).await?;
    let (task, job) = app
        .db(move |conn| {
            let task = read::task(conn, viewer, id)?;
            let job = read::job(conn, viewer, task.job)?;
            Ok((task, job))
        })
        .await?;
    // What is said of every package is not needed twice.
    record.buildroots.iter_mut().for_each(|root| root.packages.clear());
    let url = format!("{}/buildroot?attempt={}", task.url, view.attempt);
    let sources = job.sources.iter().map(|source| SourceLink {
        name: source.nevr.clone().unwrap_or_else(|| source.file_name.clone()),
        url: format!("{url}&source={}", source.position),
        shown: u32::try_from(source.position) == Ok(view.source),
    });
    let page = BuildrootPage {
        page: "jobs",
        title: job.title,
        job: task.job,
        job_url: paths::job(task.job),
        task_url: format!("{}?attempt={}", task.url, view.attempt),
        platform: task.platform,
        sources: if job.sources.len() > 1 { sources.collect() } else { Vec::new() },
        isolation: lines(record.isolation.as_ref()),
        options: lines(record.options.as_ref()),
        limits: lines(serde_json::to_value(record.limits).ok().as_ref()),
        since_url: view.since.as_ref().map(|since| paths::task(since.task)).unwrap_or_default(),
        view,
        record,
    };
    render("buildroot.html", &visitor, &page)
}

/// The fields of an object, each as a word and its value.
fn lines(value: Option<&serde_json::Value>) -> Vec<(String, String)> {
    let Some(fields) = value.and_then(serde_json::Value::as_object) else { return Vec::new() };
    fields.iter().map(|(name, value)| line(name, value)).collect()
}

/// A field with its unit, which is the last word of its name, where that says one.
fn line(name: &str, value: &serde_json::Value) -> (String, String) {
    let (word, text) = match (name.rsplit_once('_'), value.as_u64(), value.as_str()) {
        (Some((word, "bytes")), Some(number), _) => (word, bytes(number)),
        (Some((word, "seconds")), Some(number), _) => (word, duration(i64::try_from(number).unwrap_or(i64::MAX))),
        (_, _, Some(text)) => (name, text.to_owned()),
        _ => (name, value.to_string()),
    };
    (word.replace('_', " "), text)
}
