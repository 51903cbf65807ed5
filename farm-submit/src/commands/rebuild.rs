//! `farm rebuild`: build again what was built, with the very packages that were installed then.

use farm_api::{
    client::PeopleClient,
    people::{NewJob, NewSource},
};

use super::{submit, watch::Interrupt};
use crate::{
    cli::RebuildArgs,
    exit::{Exit, Failure},
    output::Output,
};

/// Makes a job of the same sources that is built like a task.
pub async fn run(args: &RebuildArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::listen()?;
    let job = client.job(args.task.job).await?;
    let task = args.task.one(&job)?;
    let source =
        |source: &farm_api::people::Source| NewSource { name: source.file_name.clone(), digest: source.digest };
    let new = NewJob {
        key: submit::key(args.id.as_ref())?,
        title: None,
        sources: job.sources.iter().map(source).collect(),
        targets: vec![task.platform.to_string()],
        bucket: args.bucket.clone(),
        class: None,
        timeout_seconds: None,
        // What the jobs before made was there, too.
        after: job.after,
        network: false,
        like: Some(task.id),
        options: job.options.clone().into(),
    };
    submit::hand_in(&[new], args.no_wait, args.quiet, client, output, &mut interrupt).await
}
