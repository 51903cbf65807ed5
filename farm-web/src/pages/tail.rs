//! A part of a log, for a page: its end, or what follows a byte that somebody jumps to.

use std::pin::pin;

use farm_api::people::Attempt;
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

/// A part of a log, and where the rest is.
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
    /// Whether it is a part that was jumped to, and not the end.
    chosen: bool,
    /// Where its stages begin.
    jumps: Vec<Jump>,
    /// The part before.
    earlier: Option<String>,
    /// The part after.
    later: Option<String>,
    /// The end.
    end: String,
    /// The whole log.
    plain: String,
    /// What comes next, while the attempt runs.
    events: Option<String>,
}

/// The beginning of a stage.
#[derive(Debug, Serialize)]
struct Jump {
    stage: &'static str,
    source: Option<u32>,
    url: String,
}

/// Shows an attempt's log from a byte on, or its end.
pub async fn view(app: &App, viewer: Viewer, task: TaskId, attempt: &Attempt, from: Option<u64>) -> Result<LogView> {
    let number = attempt.number;
    let place = app.db(move |conn| read::log_place(conn, viewer, task, Some(number))).await?;
    let place = place.ok_or_else(|| DbError::NotFound(format!("task {task} has no attempt {number}")))?;
    let start = from.map_or_else(|| place.size.saturating_sub(LENGTH), |from| from.min(place.size));
    let (mut plain, mut end, mut text) = (Plain::default(), start, String::new());
    let part = LogPart { viewer, task, attempt: Some(number), start, follow: false };
    let mut log = pin!(stream(app.clone(), part));
    while let Some(mut piece) = log.try_next().await? {
        let room = if from.is_some() { start + LENGTH - end } else { u64::MAX };
        piece.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        end += piece.len() as u64;
        text.push_str(&plain.text(&piece));
        if room <= piece.len() as u64 {
            break;
        }
    }
    // What the next events begin with is what was held back here.
    let next = end - plain.held();
    let url = format!("/api/v1/tasks/{task}/log");
    let page = |from: u64| format!("/tasks/{task}?attempt={number}&from={from}#log");
    let jumps = attempt.marks.iter().map(|mark| Jump {
        stage: mark.stage.as_str(),
        source: mark.source,
        url: page(mark.offset),
    });
    Ok(LogView {
        attempt: number,
        // A part that was jumped to begins where a line does, or where the part before it ended.
        text: if from.is_none() && start > 0 { from_first_line(text) } else { text },
        shown: end - start,
        size: place.size.max(end),
        cut: start > 0,
        chosen: from.is_some(),
        jumps: jumps.collect(),
        earlier: (start > 0).then(|| page(start.saturating_sub(LENGTH))),
        later: (from.is_some() && end < place.size).then(|| page(next)),
        end: format!("/tasks/{task}?attempt={number}#log"),
        plain: format!("{url}?attempt={number}"),
        events: (!place.ended && from.is_none())
            .then(|| format!("{url}/events?attempt={number}&start={next}&follow=true")),
    })
}

/// A cut log begins in the middle of a line, which says nothing.
fn from_first_line(text: String) -> String {
    match text.split_once('\n') {
        Some((_, rest)) => rest.to_owned(),
        None => text,
    }
}
