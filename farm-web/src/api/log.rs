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
    identity::Visitor,
    log::{LogPart, Plain, attempt_of, stream},
    viewer::Viewer,
};

const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");
/// Where a browser says what it received last, when it comes back.
const LAST_EVENT_ID: &str = "last-event-id";

/// Which part of a log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
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
    fn part(&self, visitor: &Visitor, task: TaskId) -> LogPart {
        LogPart {
            viewer: visitor.viewer(),
            task,
            attempt: self.attempt.map(AttemptNumber),
            start: self.start,
            follow: self.follow,
        }
    }
}

/// The log as it came out of the build, byte by byte.
#[utoipa::path(get, path = "/tasks/{id}/log", tag = "tasks", params(("id" = i64, Path), LogQuery),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn plain(
    State(app): State<App>,
    visitor: Visitor,
    Name(task): Name<TaskId>,
    Query(query): Query<LogQuery>,
) -> Result<impl IntoResponse> {
    let mut part = query.part(&visitor, task);
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
    /// The text, without terminal escapes; bytes that are no UTF-8 are replaced.
    text: String,
}

/// The log for a page: events `log`, and `end` when the attempt has ended. Goes on where the browser says it was.
#[utoipa::path(get, path = "/tasks/{id}/log/events", tag = "tasks", params(("id" = i64, Path), LogQuery),
    responses((status = 200, body = LogPiece, content_type = "text/event-stream", description = "events `log` and `end`")))]
pub async fn events(
    State(app): State<App>,
    visitor: Visitor,
    Name(task): Name<TaskId>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse> {
    let mut part = query.part(&visitor, task);
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
        let (mut received, mut plain) = (part.start, Plain::default());
        while let Some(ready) = log.next().await {
            let mut text = String::new();
            for piece in ready {
                match piece {
                    Ok(piece) => {
                        received += piece.len() as u64;
                        text.push_str(&plain.text(&piece));
                    }
                    // The browser comes back and goes on where it was.
                    Err(error) => {
                        tracing::warn!(%error, task.id = %part.task, "a log broke off");
                        return;
                    }
                }
            }
            yield Ok(piece_event(text, received - plain.held()));
        }
        if plain.held() > 0 {
            yield Ok(piece_event(plain.rest(), received));
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
