//! The changes of a job, by server-sent events, over any number of connections.

use std::time::{Duration, Instant};

use eventsource_stream::{Event, EventStreamError, Eventsource};
use farm_types::JobId;
use futures::{StreamExt, stream::BoxStream};

use super::{ClientError, Repeat, Transport, call::pause};
use crate::people::Job;

/// The server sends a comment every 15 seconds or so; three missing ones mean that the connection is dead.
const IDLE: Duration = Duration::from_secs(50);
/// How long a server may be away. A job is not hurt by that, so this is much longer than for a single call.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

type Events = BoxStream<'static, Result<Event, EventStreamError<ClientError>>>;

/// A job at once and after each change. Reconnects by itself.
pub struct JobEvents {
    transport: Transport,
    job: JobId,
    events: Option<Events>,
    away: Option<Instant>,
    tries: u32,
    ended: bool,
}

/// What there is to tell of a job that is being watched.
#[derive(Debug)]
pub enum JobEvent {
    /// How it stands.
    Job(Box<Job>),
    /// The server does not answer at the moment; we go on trying.
    Away(ClientError),
}

impl JobEvents {
    pub(super) fn new(transport: Transport, job: JobId) -> Self {
        Self { transport, job, events: None, away: None, tries: 0, ended: false }
    }

    /// The next event; none after the end of the job. A failure is final: refused, or away for too long. Do not drop
    /// the future halfway: what it was connecting to would be lost.
    pub async fn next(&mut self) -> Option<Result<JobEvent, ClientError>> {
        if self.ended {
            return None;
        }
        let event = match self.read().await {
            Ok(job) => {
                self.ended = job.progress.is_final();
                // One, not none: a server that ends every stream at once must not be asked in a tight loop.
                (self.away, self.tries) = (None, 1);
                Ok(JobEvent::Job(Box::new(job)))
            }
            Err(error) => {
                self.events = None;
                let since = *self.away.get_or_insert_with(Instant::now);
                if error.is_passing() && since.elapsed() < PATIENCE {
                    Ok(JobEvent::Away(error))
                } else {
                    self.ended = true;
                    Err(error)
                }
            }
        };
        Some(event)
    }

    async fn read(&mut self) -> Result<Job, ClientError> {
        let path = format!("api/v1/jobs/{}/events", self.job);
        let url = self.transport.url(&path);
        loop {
            let Some(events) = &mut self.events else {
                if self.tries > 0 {
                    tokio::time::sleep(pause(self.tries, None)).await;
                }
                self.tries += 1;
                let call = self.transport.get(&path).header("accept", "text/event-stream").repeat(Repeat::Never);
                self.events = Some(call.body(IDLE).await?.eventsource().boxed());
                continue;
            };
            match events.next().await {
                Some(Ok(event)) if event.event == "job" => {
                    return serde_json::from_str(&event.data)
                        .map_err(|error| ClientError::BadAnswer { url, why: error.to_string() });
                }
                Some(Ok(_)) => {}
                Some(Err(EventStreamError::Transport(error))) => return Err(error),
                Some(Err(error)) => return Err(ClientError::BadAnswer { url, why: error.to_string() }),
                // The server ended the stream before the job did: it is going down, or wants us to come again.
                None => self.events = None,
            }
        }
    }
}
