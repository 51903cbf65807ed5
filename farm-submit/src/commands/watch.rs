//! Following a job to its end: `farm watch`, and the second half of `farm-submit`.

mod interrupt;
mod view;

use std::time::Duration;

use farm_api::{
    client::{ClientError, JobEvent, PeopleClient},
    people::Job,
};
use farm_types::{JobId, Progress};
use jiff::Timestamp;
use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

pub use self::interrupt::Interrupt;
use self::view::View;
use crate::{
    cli::WatchArgs,
    exit::{Exit, Failure, sentence},
    output::{Output, aside},
    show::job::source_names,
};

/// How often times on the screen are brought up to date.
const TICK: Duration = Duration::from_millis(500);

/// What `--json` prints in the end.
#[derive(Debug, Serialize)]
pub struct JobDocument<'j> {
    /// The job as it stands.
    pub job: &'j Job,
}

/// Follows a job.
pub async fn run(args: &WatchArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::listen()?;
    to_the_end(args.job, client, output, args.quiet, &mut interrupt).await
}

/// Follows a job to its end, prints what has become of it, and says how the command ends.
pub async fn to_the_end(
    id: JobId,
    client: &PeopleClient,
    output: &mut Output,
    quiet: bool,
    interrupt: &mut Interrupt,
) -> Result<Exit, Failure> {
    let mut view = View::new(output, quiet);
    let job = follow(id, client, output, &mut view, interrupt).await;
    view.close();
    let job = job?;
    if output.json {
        output.document(&JobDocument { job: &job })?;
    } else if job.progress != Progress::Rejected {
        output.text(&view.conclusion(&job, client, Timestamp::now()))?;
    }
    match job.progress {
        Progress::Succeeded => Ok(Exit::Done),
        Progress::Rejected => Err(rejection(&job)),
        _ => Ok(Exit::TaskFailed),
    }
}

async fn follow(
    id: JobId,
    client: &PeopleClient,
    output: &mut Output,
    view: &mut View,
    interrupt: &mut Interrupt,
) -> Result<Job, Failure> {
    let mut events = events(id, client);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut latest: Option<Box<Job>> = None;
    loop {
        tokio::select! {
            event = events.recv() => match (event, latest.take()) {
                (Some(Ok(JobEvent::Job(job))), before) => {
                    let known = before.map_or(0, |before| before.warnings.len());
                    for remark in job.warnings.iter().skip(known) {
                        view.warn(&sentence(remark, &source_names(&job)));
                    }
                    view.job(&job, client, output, Timestamp::now())?;
                    latest = Some(job);
                }
                (Some(Ok(JobEvent::Away(error))), before) => {
                    view.away(&error);
                    latest = before;
                }
                (Some(Err(error)), before) => return Err(left_alone(id, error, before.is_some())),
                (None, Some(job)) => return Ok(*job),
                (None, None) => return Err(Failure::Local("the job's events ended before they began".to_owned())),
            },
            _ = tick.tick() => if let Some(job) = &latest {
                view.redraw(job, Timestamp::now());
            },
            () = interrupt.wait() => return Err(Failure::Interrupted(come_back(id))),
        }
    }
}

/// The events, read by a task of their own: a tick of the clock must not break off a connection in the making.
fn events(id: JobId, client: &PeopleClient) -> mpsc::Receiver<Result<JobEvent, ClientError>> {
    let (sender, receiver) = mpsc::channel(16);
    let mut events = client.events(id);
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if sender.send(event).await.is_err() {
                break;
            }
        }
    });
    receiver
}

/// The server is away for good; the job is not.
fn left_alone(id: JobId, error: ClientError, known: bool) -> Failure {
    if known {
        aside(&come_back(id));
    }
    error.into()
}

fn come_back(id: JobId) -> String {
    format!("Job {id} goes on; come back with: farm watch {id}")
}

fn rejection(job: &Job) -> Failure {
    let names = source_names(job);
    Failure::Rejected {
        message: format!("job {} was rejected", job.id),
        reasons: job.reasons.iter().map(|reason| sentence(reason, &names)).collect(),
    }
}
