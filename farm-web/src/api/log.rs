//! Logs: plain text for `curl -N`, events for a page.

use std::{convert::Infallible, pin::pin, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, header},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use farm_types::{AttemptNumber, TaskId};
use futures::{Stream, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    App,
    error::Result,
    extract::{Name, Query},
    log::{LogPart, attempt_of, stream},
    viewer::Viewer,
};

const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");
/// Where a browser says what it received last, when it comes back.
const LAST_EVENT_ID: &str = "last-event-id";

/// Which part of a log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// The attempt; the latest when absent.
    attempt: Option<i32>,
    /// The byte to begin at.
    start: u64,
    /// Whether to go on until the attempt has ended.
    follow: bool,
}

impl LogQuery {
    fn part(&self, task: TaskId) -> LogPart {
        LogPart { task, attempt: self.attempt.map(AttemptNumber), start: self.start, follow: self.follow }
    }
}

/// The log as it came out of the build, byte by byte.
#[utoipa::path(get, path = "/tasks/{id}/log", tag = "tasks", params(("id" = i64, Path), LogQuery),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn plain(
    State(app): State<App>,
    Name(task): Name<TaskId>,
    Query(query): Query<LogQuery>,
) -> Result<impl IntoResponse> {
    let mut part = query.part(task);
    // From here on it is this attempt, also when another one begins.
    part.attempt = attempt_of(&app, part).await?;
    let log = stream(app, part).inspect_err(move |error| tracing::warn!(%error, task.id = %task, "a log broke off"));
    let viewer = Viewer::new("log");
    let log = log.inspect(move |_| {
        let _counted = &viewer;
    });
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache"), NO_BUFFERING];
    Ok((headers, Body::from_stream(log)))
}

/// A piece of a log; its event's id is the offset of the byte after it.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogPiece {
    /// The text; bytes that are no UTF-8 are replaced.
    text: String,
}

/// The log for a page: events `log`, and `end` when the attempt has ended. Goes on where the browser says it was.
#[utoipa::path(get, path = "/tasks/{id}/log/events", tag = "tasks", params(("id" = i64, Path), LogQuery),
    responses((status = 200, body = LogPiece, content_type = "text/event-stream", description = "events `log` and `end`")))]
pub async fn events(
    State(app): State<App>,
    Name(task): Name<TaskId>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse> {
    let mut part = query.part(task);
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()?.parse().ok());
    part.start = last.unwrap_or(part.start);
    part.attempt = attempt_of(&app, part).await?;
    let events = Sse::new(pieces(app, part)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)));
    Ok(([NO_BUFFERING], events))
}

fn pieces(app: App, part: LogPart) -> impl Stream<Item = Result<Event, Infallible>> {
    async_stream::stream! {
        let _viewer = Viewer::new("log");
        let shutdown = app.shutdown.clone();
        let mut log = pin!(stream(app, part).ready_chunks(16));
        let (mut offset, mut held) = (part.start, Vec::new());
        while let Some(ready) = log.next().await {
            for piece in ready {
                match piece {
                    Ok(piece) => held.extend_from_slice(&piece),
                    // The browser comes back and goes on where it was.
                    Err(error) => {
                        tracing::warn!(%error, task.id = %part.task, "a log broke off");
                        return;
                    }
                }
            }
            let text = take_text(&mut held);
            offset += text.1;
            yield Ok(piece_event(text.0, offset));
        }
        if !held.is_empty() {
            yield Ok(piece_event(String::from_utf8_lossy(&held).into_owned(), offset + held.len() as u64));
        }
        if !shutdown.is_cancelled() {
            yield Ok(Event::default().event("end").data("{}"));
        }
    }
}

fn piece_event(text: String, offset: u64) -> Event {
    let data = serde_json::to_string(&LogPiece { text }).unwrap_or_default();
    Event::default().event("log").id(offset.to_string()).data(data)
}

/// Takes what is whole: a character whose bytes have not all come stays. Answers also how many bytes that were.
fn take_text(held: &mut Vec<u8>) -> (String, u64) {
    let incomplete = match held.utf8_chunks().last() {
        // An error at the very end of at most three bytes may be the beginning of a character.
        Some(last)
            if last.invalid().len() < 4
                && std::str::from_utf8(last.invalid()).is_err_and(|e| e.error_len().is_none()) =>
        {
            last.invalid().len()
        }
        _ => 0,
    };
    let rest = held.split_off(held.len() - incomplete);
    let text = String::from_utf8_lossy(held).into_owned();
    let length = held.len() as u64;
    *held = rest;
    (text, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_cut_in_two_is_put_together_again() {
        let mut held = "aü".as_bytes()[..2].to_vec();
        assert_eq!(take_text(&mut held), ("a".to_owned(), 1));
        held.push("ü".as_bytes()[1]);
        assert_eq!(take_text(&mut held), ("ü".to_owned(), 2));
        assert!(held.is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_not_waited_for() {
        let mut held = b"a\xff".to_vec();
        assert_eq!(take_text(&mut held), ("a\u{fffd}".to_owned(), 2));
        let mut held = b"\xffb".to_vec();
        assert_eq!(take_text(&mut held), ("\u{fffd}b".to_owned(), 2));
    }
}
