//! `farm-submit`: look at the files, bring them to the farm, create the job, wait for its end.

use std::path::PathBuf;

use farm_api::{
    client::{ClientError, PeopleClient, Uploaded},
    people::{Job, NewJob, NewSource},
};
use farm_types::{Digest, JobKey};
use uuid::Uuid;

use super::watch::{self, Interrupt, JobsDocument};
use crate::{
    cli::SubmitArgs,
    exit::{Exit, Failure, rejected},
    output::{Output, aside, warn},
    progress::FileProgress,
    show,
    sources::{self, LocalFile, shown_path},
};

/// Files of more bytes than this take a while to read, so the farm is asked first whether it takes them.
const LARGE: u64 = 64 << 20;

/// Submits a job, or a chain of jobs.
pub async fn run(args: &SubmitArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    args.build.check().map_err(Failure::Usage)?;
    let mut interrupt = Interrupt::listen()?;
    let groups = tokio::select! {
        groups = bring(args, client, output.live) => groups?,
        () = interrupt.wait() => return Err(Failure::Interrupted("interrupted; nothing was submitted".to_owned())),
    };
    hand_in(&new_jobs(args, groups)?, args.no_wait, args.quiet, client, output, &mut interrupt).await
}

/// Creates a job, or jobs that come after each other, and waits for their end, if somebody wants to.
pub async fn hand_in(
    new: &[NewJob],
    no_wait: bool,
    quiet: bool,
    client: &PeopleClient,
    output: &mut Output,
    interrupt: &mut Interrupt,
) -> Result<Exit, Failure> {
    let jobs = tokio::select! {
        jobs = create(client, new) => jobs?,
        () = interrupt.wait() => return Err(Failure::Interrupted(uncertain("interrupted", new))),
    };
    for job in &jobs {
        output.note(&format!("Job {}: {}", job.id, show::shown(&client.url(&job.url))))?;
    }
    if no_wait {
        if output.json {
            output.document(&JobsDocument::of(&jobs))?;
        }
        return Ok(Exit::Done);
    }
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    watch::to_the_end(&ids, client, output, quiet, interrupt).await
}

/// Looks at all files first, and only then sends the first byte. Answers the sources of each job.
async fn bring(args: &SubmitArgs, client: &PeopleClient, live: bool) -> Result<Vec<Vec<NewSource>>, Failure> {
    let live = live && !args.quiet;
    let (mut groups, mut problems) = (Vec::new(), Vec::new());
    for paths in args.groups().map_err(Failure::usage)? {
        match sources::look(paths) {
            Ok(files) => groups.push(files),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Usage(problems));
    }
    refuse_too_large(&groups.concat(), client).await?;
    let mut read = Vec::new();
    for files in &groups {
        read.push(digests(files, live).await?);
    }
    let mut jobs = Vec::new();
    for (files, digests) in groups.iter().zip(read) {
        for file in files.iter().filter(|file| !file.looks_like_rpm) {
            warn(&format!("{}: does not begin as an RPM package does", shown_path(&file.path)));
        }
        let mut sources = Vec::new();
        for (file, digest) in files.iter().zip(digests) {
            upload(file, digest, client, live, args.quiet).await?;
            sources.push(NewSource { name: file.name.clone(), digest });
        }
        jobs.push(sources);
    }
    Ok(jobs)
}

/// Says before anything is read which files the farm will not take, or that it cannot be reached.
async fn refuse_too_large(files: &[LocalFile], client: &PeopleClient) -> Result<(), Failure> {
    if files.iter().all(|file| file.size <= LARGE) {
        return Ok(());
    }
    let Some(limit) = client.whoami().await?.max_upload_bytes else { return Ok(()) };
    let too_large = files.iter().filter(|file| file.size > limit);
    let reasons: Vec<_> = too_large
        .map(|file| {
            let (size, limit) = (show::size(file.size), show::size(limit));
            format!("{}: has {size}, and this farm takes {limit} at the most", shown_path(&file.path))
        })
        .collect();
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Failure::Rejected { message: "nothing was submitted".to_owned(), reasons })
}

async fn digests(files: &[LocalFile], live: bool) -> Result<Vec<Digest>, Failure> {
    let mut digests: Vec<Digest> = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        let progress = FileProgress::brief(live, "reading  ", &file.name, file.size);
        let (this, at) = (file.clone(), progress.clone());
        let digest = tokio::task::spawn_blocking(move || sources::digest(&this, |bytes| at.at(bytes))).await;
        progress.end("read");
        match digest.map_err(|error| Failure::Local(error.to_string()))? {
            Ok(digest) => {
                if let Some(first) = digests.iter().position(|other| *other == digest) {
                    let (this, first) = (shown_path(&file.path), shown_path(&files[first].path));
                    problems.push(format!("{this}: has the same content as {first}"));
                }
                digests.push(digest);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(digests) } else { Err(Failure::Usage(problems)) }
}

async fn upload(
    file: &LocalFile,
    digest: Digest,
    client: &PeopleClient,
    live: bool,
    quiet: bool,
) -> Result<(), Failure> {
    let progress = FileProgress::begin(live, quiet, "uploading", &file.name, file.size);
    let at = progress.clone();
    let path: &PathBuf = &file.path;
    match client.upload(path, digest, file.size, move |bytes| at.at(bytes)).await {
        Ok(Uploaded::Sent) => progress.end("uploaded"),
        Ok(Uploaded::WasThere) => progress.skip("the farm has it already"),
        Err(error) => {
            progress.skip("was not uploaded");
            return Err(about(file, error));
        }
    }
    Ok(())
}

/// A refusal says which file it is about.
fn about(file: &LocalFile, error: ClientError) -> Failure {
    match error {
        ClientError::Refused(mut body) => {
            body.message = format!("{}: {}", file.name, body.message);
            ClientError::Refused(body).into()
        }
        other => other.into(),
    }
}

fn new_jobs(args: &SubmitArgs, groups: Vec<Vec<NewSource>>) -> Result<Vec<NewJob>, Failure> {
    let first = key(args.id.as_ref())?;
    let mut jobs = Vec::new();
    for sources in groups {
        let key = match jobs.len() {
            0 => first.clone(),
            n => format!("{first}.{}", n + 1).parse().map_err(|error| {
                Failure::usage(format!("--id {first}: the jobs of a chain have a number behind it: {error}"))
            })?,
        };
        jobs.push(NewJob {
            key,
            title: args.title.clone(),
            sources,
            targets: args.targets.clone(),
            bucket: args.bucket.clone(),
            class: args.class,
            timeout_seconds: args.timeout,
            after: args.after.filter(|_| jobs.is_empty()),
            network: args.network,
            like: None,
            options: args.build.options(),
        });
    }
    Ok(jobs)
}

/// What the job is called. Made before the first try and kept for every further one: a lost answer must not make a second job.
pub fn key(id: Option<&JobKey>) -> Result<JobKey, Failure> {
    match id {
        Some(id) => Ok(id.clone()),
        None => Uuid::new_v4().to_string().parse().map_err(|error| Failure::Local(format!("{error}"))),
    }
}

/// Several are one request, so all of them are made, or none.
async fn create(client: &PeopleClient, new: &[NewJob]) -> Result<Vec<Job>, Failure> {
    let made = match new {
        [one] => client.create_job(one).await.map(|job| vec![job]),
        several => client.create_chain(several).await,
    };
    let names: Vec<&str> = match new {
        [one] => one.sources.iter().map(|source| source.name.as_str()).collect(),
        // The reasons say themselves which job they are about.
        _ => Vec::new(),
    };
    made.map_err(|error| match error {
        ClientError::Refused(body) => rejected(&body, &names),
        ClientError::Unreachable { .. } => {
            aside(&uncertain("no answer", new));
            error.into()
        }
        other => other.into(),
    })
}

/// What to say when nobody knows whether the job was made.
fn uncertain(why: &str, new: &[NewJob]) -> String {
    let key = new.first().map(|job| job.key.as_str()).unwrap_or_default();
    let (what, them) = if new.len() == 1 { ("job was", "it") } else { ("jobs were", "them") };
    format!("{why} while the {what} handed in; the same command with --id {key} finds {them} or makes {them}")
}
