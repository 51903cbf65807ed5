//! `farm cancel` and `farm retry`: what changes a job.

use farm_api::{
    client::PeopleClient,
    people::{Job, Retry},
};
use farm_types::TaskState;

use crate::{
    cli::{JobArgs, RetryArgs},
    exit::{Exit, Failure},
    output::Output,
    show,
};

/// Withdraws what is not yet built of a job.
pub async fn cancel(args: &JobArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let job = client.cancel(args.job).await?;
    output.either(&job, || {
        let stopping = number(&job, |state| !state.is_final());
        let still = if stopping == 0 { String::new() } else { format!("; {stopping} being stopped") };
        let cancelled = show::count(number(&job, |state| state == TaskState::Cancelled), "cancelled task");
        format!("Job {} is {}: {cancelled}{still}\n", job.id, job.progress)
    })?;
    Ok(Exit::Done)
}

/// Builds tasks of a job again.
pub async fn retry(args: &RetryArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let job = client.retry(args.job, &Retry { failed_only: args.failed }).await?;
    output.either(&job, || {
        let tasks = show::count(number(&job, |state| !state.is_final()), "task");
        format!("Job {}: {tasks} to build; follow with: farm watch {}\n", job.id, job.id)
    })?;
    Ok(Exit::Done)
}

fn number(job: &Job, is: impl Fn(TaskState) -> bool) -> usize {
    job.tasks.iter().filter(|task| is(task.state)).count()
}
