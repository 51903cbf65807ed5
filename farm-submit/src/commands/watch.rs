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
#[serde(rename_all = "lowercase")]
pub enum JobsDocument<'j> {
    /// The job as it stands.
    Job(&'j Job),
    /// All of several.
    Jobs(&'j [Job]),
}

impl<'j> JobsDocument<'j> {
    /// Of a single job, or several.
    pub fn of(jobs: &'j [Job]) -> Self {
        match jobs {
            [job] => Self::Job(job),
            jobs => Self::Jobs(jobs),
        }
    }
}

/// Follows jobs.
pub async fn run(args: &WatchArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::listen()?;
    to_the_end(&args.jobs, client, output, args.quiet, &mut interrupt).await
}

/// Follows jobs to their end, one after the other, prints what has become of them, and says how the command ends: well if all did.
pub async fn to_the_end(
    ids: &[JobId],
    client: &PeopleClient,
    output: &mut Output,
    quiet: bool,
    interrupt: &mut Interrupt,
) -> Result<Exit, Failure> {
    let mut jobs = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let mut view = View::new(output, quiet);
        if ids.len() > 1 && !quiet {
            output.note(&format!("Job {id}, {} of {}", n + 1, ids.len()))?;
        }
        let job = follow(&ids[n..], client, output, &mut view, interrupt).await;
        view.close();
        let job = job?;
        if !output.json && job.progress != Progress::Rejected {
            output.text(&view.conclusion(&job, client, Timestamp::now()))?;
        }
        jobs.push(job);
    }
    if output.json {
        output.document(&JobsDocument::of(&jobs))?;
    }
    match jobs.iter().find(|job| job.progress == Progress::Rejected) {
        Some(job) => Err(rejection(job)),
        None if jobs.iter().all(|job| job.progress == Progress::Succeeded) => Ok(Exit::Done),
        None => Ok(Exit::TaskFailed),
    }
}

/// Follows the first of these, which those behind it come after.
async fn follow(
    ids: &[JobId],
    client: &PeopleClient,
    output: &mut Output,
    view: &mut View,
    interrupt: &mut Interrupt,
) -> Result<Job, Failure> {
    let [id, ..] = *ids else { return Err(Failure::usage("there is no job to follow")) };
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
                (Some(Err(error)), before) => return Err(left_alone(ids, error, before.is_some())),
                (None, Some(job)) => return Ok(*job),
                (None, None) => return Err(Failure::Local("the job's events ended before they began".to_owned())),
            },
            _ = tick.tick() => if let Some(job) = &latest {
                view.redraw(job, Timestamp::now());
            },
            () = interrupt.wait() => return Err(Failure::Interrupted(come_back(ids))),
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
fn left_alone(ids: &[JobId], error: ClientError, known: bool) -> Failure {
    if known {
        aside(&come_back(ids));
    }
    error.into()
}

fn come_back(ids: &[JobId]) -> String {
    let all = ids.iter().map(JobId::to_string).collect::<Vec<_>>();
    match &all[..] {
        [id] => format!("Job {id} goes on; come back with: farm watch {id}"),
        all => format!("Jobs {} go on; come back with: farm watch {}", all.join(", "), all.join(" ")),
    }
}

fn rejection(job: &Job) -> Failure {
    let names = source_names(job);
    Failure::Rejected {
        message: format!("job {} was rejected", job.id),
        reasons: job.reasons.iter().map(|reason| sentence(reason, &names)).collect(),
    }
}
