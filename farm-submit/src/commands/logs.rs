//! `farm logs`: what a build printed, or is printing.

use std::time::Duration;

use farm_api::{
    client::{ClientError, LogQuery, PeopleClient, call::pause},
    people::Task,
};
use farm_types::AttemptNumber;
use futures::StreamExt;
use serde::Serialize;

use crate::{
    cli::LogsArgs,
    exit::{Exit, Failure},
    output::{Output, aside},
    show::LogText,
};

/// How often we look whether a further attempt has begun.
const LOOK: Duration = Duration::from_secs(1);
/// Tries to go on with a log that was cut, without any new byte.
const TRIES: u32 = 8;

/// What `--json` prints.
#[derive(Serialize)]
struct LogDocument<'l> {
    task: &'l Task,
    attempt: AttemptNumber,
    /// Bytes that are no UTF-8 are replaced.
    log: &'l str,
}

/// Prints the log of a task.
pub async fn run(args: &LogsArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let job = client.job(args.task.job).await?;
    let mut task = args.task.one(&job)?.clone();
    if args.follow && args.attempt.is_none() && task.attempts.is_empty() && !task.state.is_final() {
        aside(&format!("job {} on {} is {}; waiting for it to begin", job.id, task.platform, task.state));
        task = next_attempt(client, task, None).await?;
    }
    let Some(mut number) = args.attempt.or_else(|| latest(&task)) else {
        let (id, platform) = (job.id, &task.platform);
        aside(&format!("nobody has begun to build job {id} on {platform}; ask: farm why {id}:{platform}"));
        return Ok(Exit::Done);
    };
    loop {
        let mut sink = Sink::new(output);
        task = one_attempt(client, task, number, args.follow, &mut sink).await?;
        let log = sink.finish()?;
        if output.json && (!args.follow || task.state.is_final() || args.attempt.is_some()) {
            output.document(&LogDocument { task: &task, attempt: number, log: &String::from_utf8_lossy(&log) })?;
        }
        if !args.follow || args.attempt.is_some() {
            return Ok(Exit::Done);
        }
        task = next_attempt(client, task, Some(number)).await?;
        match latest(&task) {
            Some(next) if next > number => number = next,
            _ => return Ok(Exit::Done),
        }
        aside(&format!("attempt {number} of job {} on {}", job.id, task.platform));
    }
}

/// Prints one log, over as many connections as it takes, and gives the task as it stands after it.
async fn one_attempt(
    client: &PeopleClient,
    mut task: Task,
    number: AttemptNumber,
    follow: bool,
    sink: &mut Sink<'_>,
) -> Result<Task, Failure> {
    let mut tries = 0;
    loop {
        let before = sink.taken;
        let query = LogQuery { attempt: Some(number), start: before, follow };
        let cut = match print(client, &task, &query, sink).await? {
            Ok(()) if !follow => return Ok(task),
            Ok(()) => {
                task = client.task(task.id).await?;
                let attempt = task.attempts.iter().find(|attempt| attempt.number == number);
                let ended = attempt.is_none_or(|attempt| attempt.outcome.is_some());
                let size = attempt.map_or(0, |attempt| u64::try_from(attempt.log_size).unwrap_or_default());
                if ended && (sink.taken >= size || sink.taken == before) {
                    return Ok(task);
                }
                None
            }
            Err(error) => Some(error),
        };
        tries = if sink.taken > before { 1 } else { tries + 1 };
        match cut {
            Some(error) if !error.is_passing() || tries == TRIES => return Err(error.into()),
            _ => tokio::time::sleep(pause(tries, None)).await,
        }
    }
}

/// Prints what comes over one connection. The outer failure is our output's, the inner one the connection's.
async fn print(
    client: &PeopleClient,
    task: &Task,
    query: &LogQuery,
    sink: &mut Sink<'_>,
) -> Result<Result<(), ClientError>, Failure> {
    let mut log = match client.log(task.id, query).await {
        Ok(log) => log,
        Err(error) => return Ok(Err(error)),
    };
    while let Some(bytes) = log.next().await {
        match bytes {
            Ok(bytes) => sink.take(&bytes)?,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

/// Waits until an attempt after `number` has begun, or the task has ended.
async fn next_attempt(client: &PeopleClient, mut task: Task, number: Option<AttemptNumber>) -> Result<Task, Failure> {
    while !task.state.is_final() && latest(&task) <= number {
        tokio::time::sleep(LOOK).await;
        task = client.task(task.id).await?;
    }
    Ok(task)
}

fn latest(task: &Task) -> Option<AttemptNumber> {
    task.attempts.last().map(|attempt| attempt.number)
}

/// Where the bytes of a log go: to a file as they are, to a terminal made harmless, or into a JSON document.
struct Sink<'o> {
    output: &'o mut Output,
    taken: u64,
    text: LogText,
    kept: Vec<u8>,
}

impl<'o> Sink<'o> {
    fn new(output: &'o mut Output) -> Self {
        Self { output, taken: 0, text: LogText::default(), kept: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.taken += bytes.len() as u64;
        match (self.output.json, self.output.terminal) {
            (true, _) => self.kept.extend_from_slice(bytes),
            (false, true) => self.output.text(&self.text.push(bytes))?,
            (false, false) => self.output.bytes(bytes)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>, Failure> {
        self.output.text(&self.text.finish())?;
        Ok(self.kept)
    }
}
