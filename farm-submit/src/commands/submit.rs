//! `farm-submit`: look at the files, bring them to the farm, create the job, wait for its end.

use std::path::PathBuf;

use farm_api::{
    client::{ClientError, PeopleClient, Uploaded},
    people::{Job, NewJob, NewSource},
};
use farm_types::{Digest, JobKey};
use uuid::Uuid;

use super::watch::{self, Interrupt, JobDocument};
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

/// Submits a job.
pub async fn run(args: &SubmitArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    args.build.check().map_err(Failure::Usage)?;
    let mut interrupt = Interrupt::listen()?;
    let sources = tokio::select! {
        sources = bring(args, client, output.live) => sources?,
        () = interrupt.wait() => return Err(Failure::Interrupted("interrupted; nothing was submitted".to_owned())),
    };
    hand_in(&new_job(args, sources)?, args.no_wait, args.quiet, client, output, &mut interrupt).await
}

/// Creates a job and waits for its end, if somebody wants to.
pub async fn hand_in(
    new: &NewJob,
    no_wait: bool,
    quiet: bool,
    client: &PeopleClient,
    output: &mut Output,
    interrupt: &mut Interrupt,
) -> Result<Exit, Failure> {
    let job = tokio::select! {
        job = create(client, new) => job?,
        () = interrupt.wait() => return Err(Failure::Interrupted(uncertain("interrupted", &new.key))),
    };
    output.note(&format!("Job {}: {}", job.id, show::shown(&client.url(&job.url))))?;
    if no_wait {
        if output.json {
            output.document(&JobDocument { job: &job })?;
        }
        return Ok(Exit::Done);
    }
    watch::to_the_end(job.id, client, output, quiet, interrupt).await
}

/// Looks at all files first, and only then sends the first byte.
async fn bring(args: &SubmitArgs, client: &PeopleClient, live: bool) -> Result<Vec<NewSource>, Failure> {
    let live = live && !args.quiet;
    let files = sources::look(&args.files).map_err(Failure::Usage)?;
    refuse_too_large(&files, client).await?;
    let digests = digests(&files, live).await?;
    for file in files.iter().filter(|file| !file.looks_like_rpm) {
        warn(&format!("{}: does not begin as an RPM package does", shown_path(&file.path)));
    }
    let mut sources = Vec::new();
    for (file, digest) in files.iter().zip(digests) {
        upload(file, digest, client, live, args.quiet).await?;
        sources.push(NewSource { name: file.name.clone(), digest });
    }
    Ok(sources)
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

fn new_job(args: &SubmitArgs, sources: Vec<NewSource>) -> Result<NewJob, Failure> {
    Ok(NewJob {
        key: key(args.id.as_ref())?,
        title: args.title.clone(),
        sources,
        targets: args.targets.clone(),
        bucket: args.bucket.clone(),
        class: args.class,
        timeout_seconds: args.timeout,
        after: args.after,
        network: args.network,
        like: None,
        options: args.build.options(),
    })
}

/// What the job is called. Made before the first try and kept for every further one: a lost answer must not make a second job.
pub fn key(id: Option<&JobKey>) -> Result<JobKey, Failure> {
    match id {
        Some(id) => Ok(id.clone()),
        None => Uuid::new_v4().to_string().parse().map_err(|error| Failure::Local(format!("{error}"))),
    }
}

async fn create(client: &PeopleClient, new: &NewJob) -> Result<Job, Failure> {
    let names: Vec<&str> = new.sources.iter().map(|source| source.name.as_str()).collect();
    client.create_job(new).await.map_err(|error| match error {
        ClientError::Refused(body) => rejected(&body, &names),
        ClientError::Unreachable { .. } => {
            aside(&uncertain("no answer", &new.key));
            error.into()
        }
        other => other.into(),
    })
}

/// What to say when nobody knows whether the job was made.
fn uncertain(why: &str, key: &JobKey) -> String {
    format!("{why} while the job was handed in; the same command with --id {key} finds it or makes it")
}
