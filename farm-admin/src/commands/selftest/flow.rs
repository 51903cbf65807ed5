//! From a source package to verified packages, as a user would do it.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use farm_api::{
    client::{JobEvent, PeopleClient, Transport},
    people::{Job, NewJob, NewSource},
};
use farm_types::{Class, JobId, TaskState};
use jiff::SignedDuration;

use super::{
    blame,
    package::{self, Package},
    report::{Report, Trouble},
    results,
};
use crate::{farm::FarmArgs, output, up::Layout};

/// What this program calls itself.
const PROGRAM: &str = concat!("farm-admin/", env!("CARGO_PKG_VERSION"));

#[derive(Args)]
pub(crate) struct SelftestArgs {
    /// The farm [default: the one in the data folder, else that of FARM_SERVER]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Where to build, as targets [default: all platforms that take tasks]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    platforms: Vec<String>,
    /// How long it may take
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = patience)]
    timeout: Duration,
}

fn patience(text: &str) -> Result<Duration, String> {
    let time = text.parse::<SignedDuration>().map_err(|error| format!("{error}; a time looks like 90s or 5m"))?;
    match Duration::try_from(time) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("it has to be longer than nothing".to_owned()),
    }
}

pub(crate) fn run(farm: &FarmArgs, args: &SelftestArgs) -> anyhow::Result<()> {
    let server = server(farm, args)?;
    let client = PeopleClient::new(Transport::new(&server, PROGRAM)?.with_login("api/v1/token"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(test(&client, args, !farm.json))?;
    if farm.json {
        output::json(&report)?;
    } else {
        report.print();
    }
    if report.ok { Ok(()) } else { bail!("the farm at {server} does not work as it should") }
}

fn server(farm: &FarmArgs, args: &SelftestArgs) -> anyhow::Result<String> {
    if let Some(server) = &args.server {
        return Ok(server.clone());
    }
    let layout = Layout::of(farm)?;
    let here = fs_err::read_to_string(layout.url_file()).map(|url| url.trim().to_owned());
    here.ok().or_else(|| std::env::var("FARM_SERVER").ok()).with_context(|| {
        let data = layout.data().display();
        format!("no farm is up in {data}: start it with `farm-admin up`, name its folder with --data DIR, or a farm with --server URL")
    })
}

async fn test(client: &PeopleClient, args: &SelftestArgs, talk: bool) -> anyhow::Result<Report> {
    let mut report = Report::of(client.transport().base());
    let targets = targets(client, args).await?;
    let dir = tempfile::tempdir().context("cannot make a temporary folder")?;

    let began = Instant::now();
    let package = package::make(dir.path())?;
    report.common("packed", began.elapsed());
    let began = Instant::now();
    client
        .upload(&package.file, package.digest, package.size, |_| {})
        .await
        .context("the upload failed; see farm-web")?;
    report.common("uploaded", began.elapsed());
    let began = Instant::now();
    let job = submit(client, &package, targets).await.context("the job was not taken; see farm-web")?;
    report.common("submitted", began.elapsed());
    report.job = Some(job.id);
    if talk {
        eprintln!("job {} at {}", job.id, client.url(&job.url));
    }

    // Whatever of it is not done in time is withdrawn.
    let in_time = tokio::time::timeout(args.timeout, follow(client, job.id, talk)).await;
    let job = match in_time {
        Ok(job) => job?,
        Err(_) => client.job(job.id).await?,
    };
    report.take_times(&job);
    report.troubles = troubles(client, &job, args).await;
    if !job.progress.is_final() {
        client.cancel(job.id).await?;
    }
    download(client, &job, &package, dir.path(), &mut report).await;
    report.ok = report.troubles.is_empty();
    Ok(report)
}

async fn targets(client: &PeopleClient, args: &SelftestArgs) -> anyhow::Result<Vec<String>> {
    if !args.platforms.is_empty() {
        return Ok(args.platforms.clone());
    }
    let platforms = client.platforms().await?;
    let enabled: Vec<_> = platforms.iter().filter(|p| p.enabled).map(|p| p.name.to_string()).collect();
    if enabled.is_empty() {
        bail!("the farm has no platform that takes tasks; add one with `farm-admin platform add RECIPE.toml`");
    }
    Ok(enabled)
}

async fn submit(client: &PeopleClient, package: &Package, targets: Vec<String>) -> anyhow::Result<Job> {
    let name = package.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let job = NewJob {
        key: format!("selftest-{}", package.version).parse()?,
        title: Some("the farm's self test".to_owned()),
        sources: vec![NewSource { name, digest: package.digest }],
        targets,
        // Of its own, so that what people install from is left alone.
        bucket: Some("selftest".parse()?),
        class: Some(Class::Urgent),
        timeout_seconds: None,
        after: None,
        network: false,
        like: None,
        options: Default::default(),
    };
    Ok(client.create_job(&job).await?)
}

/// Waits for the end of the job.
async fn follow(client: &PeopleClient, id: JobId, talk: bool) -> anyhow::Result<Job> {
    let mut events = client.events(id);
    let mut told = HashMap::new();
    let mut last = None;
    while let Some(event) = events.next().await {
        match event? {
            JobEvent::Job(job) => {
                for task in &job.tasks {
                    let now = (task.state, task.stage);
                    if told.insert(task.id, now) != Some(now) && talk {
                        match (task.state, task.stage) {
                            (TaskState::Leased, Some(stage)) => eprintln!("{}: {stage}", task.platform),
                            (state, _) => eprintln!("{}: {state}", task.platform),
                        }
                    }
                }
                last = Some(*job);
            }
            JobEvent::Away(error) if talk => eprintln!("{error}; waiting"),
            JobEvent::Away(_) => {}
        }
    }
    last.with_context(|| format!("the farm ended the events of job {id} without one; see farm-web"))
}

async fn troubles(client: &PeopleClient, job: &Job, args: &SelftestArgs) -> Vec<Trouble> {
    let patience = SignedDuration::try_from(args.timeout).map(|time| format!("{time:#}")).unwrap_or_default();
    let mut troubles: Vec<_> = blame::job(job, &patience).into_iter().collect();
    for task in &job.tasks {
        let why = if task.state.is_final() { None } else { client.why(task.id).await.ok() };
        troubles.extend(blame::task(task, why.as_ref(), client.url(&task.log_url)));
    }
    troubles
}

async fn download(client: &PeopleClient, job: &Job, package: &Package, dir: &Path, report: &mut Report) {
    for task in job.tasks.iter().filter(|task| task.state == TaskState::Succeeded) {
        let began = Instant::now();
        let checked = results::check(client, task, package, dir).await;
        report.at(&task.platform, "downloaded", began.elapsed());
        if let Err(error) = checked {
            report.troubles.push(Trouble {
                platform: Some(task.platform.clone()),
                blame: "farm-web or its store".to_owned(),
                what: format!("{error:#}"),
                excerpt: Vec::new(),
                log: Some(client.url(&task.log_url)),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_write_them() {
        assert_eq!(patience("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(patience("5m"), Ok(Duration::from_secs(300)));
        assert!(patience("0s").is_err() && patience("-5m").is_err() && patience("soon").is_err());
    }
}
