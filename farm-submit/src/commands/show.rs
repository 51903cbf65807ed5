//! `farm show`: everything about a job.

use farm_api::client::PeopleClient;
use jiff::Timestamp;

use crate::{
    cli::JobArgs,
    exit::{Exit, Failure},
    output::Output,
    show,
};

/// Shows a job.
pub async fn run(args: &JobArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let job = client.job(args.job).await?;
    output.either(&job, || show::job::full(&job, client, Timestamp::now()))?;
    Ok(Exit::Done)
}
