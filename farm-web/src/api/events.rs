//! A job as it changes, by server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::header,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use farm_api::people::Job;
use farm_db::{DbError, read};
use farm_types::JobId;
use futures::Stream;
use tokio::time::Instant;

use crate::{
    App,
    error::{AppError, Result},
    extract::Name,
    identity::Visitor,
    viewer::Viewer,
};

/// No viewer is sent more than five changes a second: nobody reads faster.
const PACE: Duration = Duration::from_millis(200);
/// How often a viewer looks by itself, in case that a notification got lost.
const LOOK: Duration = Duration::from_secs(15);
/// When a viewer looks again that could not.
const AGAIN: Duration = Duration::from_secs(1);

/// A job at once and after each change, until its end, or until the viewer may not see it any more.
#[utoipa::path(get, path = "/jobs/{id}/events", tag = "jobs", params(("id" = i64, Path)),
    responses((status = 200, body = Job, content_type = "text/event-stream", description = "events `job`")))]
pub async fn events(State(app): State<App>, visitor: Visitor, Name(id): Name<JobId>) -> Result<impl IntoResponse> {
    // Before the answer begins, so that an unknown job is a plain 404.
    let viewer = visitor.viewer();
    app.db(move |conn| read::job(conn, viewer, id)).await?;
    let events = Sse::new(changes(app, viewer, id)).keep_alive(KeepAlive::default());
    // For proxies that would otherwise collect the stream before they pass it on.
    Ok(([(header::HeaderName::from_static("x-accel-buffering"), "no")], events))
}

fn changes(app: App, viewer: farm_db::Viewer, id: JobId) -> impl Stream<Item = Result<Event, Infallible>> {
    async_stream::stream! {
        let _viewer = Viewer::new("job");
        // Subscribed before the first look: no change falls between the two.
        let mut watcher = app.watch.job(id);
        let mut last = String::new();
        loop {
            let (looked, mut next) = (Instant::now(), LOOK);
            match app.db(move |conn| read::job_expecting(conn, viewer, id)).await {
                Ok(job) => {
                    let json = serde_json::to_string(&job).unwrap_or_default();
                    if json != last {
                        yield Ok(Event::default().event("job").data(&json));
                        last = json;
                    }
                    if job.progress.is_final() {
                        return;
                    }
                }
                // Whoever may not see it any more is told nothing more of it.
                Err(AppError::Database(DbError::NotFound(_))) => return,
                // The viewer keeps what it has.
                Err(error) => {
                    tracing::debug!(%error, job.id = %id, "a viewer of the job could not look");
                    next = AGAIN;
                }
            }
            tokio::select! {
                () = watcher.changed() => {}
                () = tokio::time::sleep(next) => {}
                // The viewer comes back, to the process that follows this one.
                () = app.shutdown.cancelled() => return,
            }
            tokio::time::sleep_until(looked + PACE).await;
        }
    }
}
