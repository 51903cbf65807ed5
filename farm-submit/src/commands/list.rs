//! `farm list`: jobs, newest first.

use anstyle::Style;
use farm_api::{
    client::PeopleClient,
    people::{Job, JobFilter},
};
use jiff::Timestamp;

use crate::{
    cli::ListArgs,
    exit::{Exit, Failure},
    output::{Output, aside},
    show::{Table, ago, progress},
};

/// Lists jobs.
pub async fn run(args: &ListArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let person = match args.mine {
        true => Some(client.whoami().await?.account.principal),
        false => args.person.clone(),
    };
    let filter = JobFilter {
        person,
        progress: args.state,
        platform: args.platform.clone(),
        package: args.package.clone(),
        before: args.before.map(|job| job.0),
        limit: Some(args.limit),
    };
    let page = client.jobs(&filter).await?;
    output.either(&page, || table(&page.jobs, Timestamp::now()))?;
    if let Some(next) = page.next.filter(|_| !output.json) {
        aside(&format!("There are more: add --before {next}"));
    }
    Ok(Exit::Done)
}

fn table(jobs: &[Job], now: Timestamp) -> String {
    if jobs.is_empty() {
        return "No jobs.\n".to_owned();
    }
    let mut table = Table::new([">JOB", "STATE", ">BUILT", "WHO", "SUBMITTED", "TITLE"]);
    for job in jobs {
        let (style, state) = progress(job.progress);
        let built = if job.total == 0 { "-".to_owned() } else { format!("{}/{}", job.succeeded, job.total) };
        let plain = |text: String| (Style::new(), text);
        table.styled([
            plain(job.id.to_string()),
            (style, state.to_owned()),
            plain(built),
            plain(job.person.clone()),
            plain(ago(job.submitted, now)),
            plain(job.title.clone()),
        ]);
    }
    table.render()
}
