//! The end of a log, for a page.

use std::pin::pin;

use farm_db::{DbError, Viewer, read};
use farm_types::{AttemptNumber, TaskId};
use futures::TryStreamExt;
use serde::Serialize;

use crate::{
    App,
    error::Result,
    log::{LogPart, Plain, stream},
};

/// So much of a log is on the page; all of it is one click away.
const LENGTH: u64 = 64 << 10;

/// The end of a log, and where the rest is.
#[derive(Debug, Serialize)]
pub struct LogView {
    attempt: AttemptNumber,
    text: String,
    /// Bytes of the text.
    shown: u64,
    /// Bytes of the whole log.
    size: u64,
    /// Whether there is more before it.
    cut: bool,
    /// The whole log.
    plain: String,
    /// What comes next, while the attempt runs.
    events: Option<String>,
}

/// Shows the end of an attempt's log.
pub async fn view(app: &App, viewer: Viewer, task: TaskId, attempt: AttemptNumber) -> Result<LogView> {
    let place = app.db(move |conn| read::log_place(conn, viewer, task, Some(attempt))).await?;
    let place = place.ok_or_else(|| DbError::NotFound(format!("task {task} has no attempt {attempt}")))?;
    let start = place.size.saturating_sub(LENGTH);
    let (mut plain, mut end, mut text) = (Plain::default(), start, String::new());
    let mut log = pin!(stream(app.clone(), LogPart { viewer, task, attempt: Some(attempt), start, follow: false }));
    while let Some(piece) = log.try_next().await? {
        end += piece.len() as u64;
        text.push_str(&plain.text(&piece));
    }
    // What the next events begin with is what was held back here.
    let next = end - plain.held();
    let url = format!("/api/v1/tasks/{task}/log");
    Ok(LogView {
        attempt,
        text: if start > 0 { from_first_line(text) } else { text },
        shown: end - start,
        size: end,
        cut: start > 0,
        plain: format!("{url}?attempt={attempt}"),
        events: (!place.ended).then(|| format!("{url}/events?attempt={attempt}&start={next}&follow=true")),
    })
}

/// A cut log begins in the middle of a line, which says nothing.
fn from_first_line(text: String) -> String {
    match text.split_once('\n') {
        Some((_, rest)) => rest.to_owned(),
        None => text,
    }
}
