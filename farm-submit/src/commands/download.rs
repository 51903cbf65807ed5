//! `farm download`: the packages of a job, verified, to `DIR/<platform>/`.

mod place;

use std::path::{Path, PathBuf};

use farm_api::{
    client::{PeopleClient, call::pause},
    people::{Artifact, Job, Task},
};
use farm_types::{ArtifactKind, JobId, PlatformName, TaskState};
use futures::StreamExt;
use serde::Serialize;

use self::place::Place;
use crate::{
    cli::DownloadArgs,
    exit::{Exit, Failure},
    output::{Output, aside},
    progress::FileProgress,
    show::{count, size},
    sources::shown_path,
};

/// Tries without any new byte before we give up; each is itself repeated.
const TRIES: u32 = 5;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct DownloadDocument<'j> {
    job: JobId,
    files: Vec<DownloadedFile<'j>>,
}

/// A file that is there now.
#[derive(Debug, Serialize)]
struct DownloadedFile<'j> {
    path: PathBuf,
    platform: &'j PlatformName,
    artifact: &'j Artifact,
    /// Whether it was there before.
    was_there: bool,
}

/// Downloads what a job produced.
pub async fn run(args: &DownloadArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let job = client.job(args.task.job).await?;
    let tasks = args.task.all(&job)?;
    let mut document = DownloadDocument { job: job.id, files: Vec::new() };
    let mut problems = Vec::new();
    for (task, artifact) in wanted(&tasks, args.all) {
        let folder = args.dir.join(task.platform.as_str());
        let path = folder.join(artifact.name.as_str());
        match one(client, artifact, &folder, args.force, output.live && !args.quiet).await {
            Ok(was_there) => {
                if !output.json {
                    output.text(&format!("{}\n", shown_path(&path)))?;
                }
                document.files.push(DownloadedFile { path, platform: &task.platform, artifact, was_there });
            }
            // The other files do not suffer from what is wrong with this one's place.
            Err(Failure::Local(problem)) => problems.push(problem),
            Err(other) => return Err(other),
        }
    }
    if output.json {
        output.document(&document)?;
    }
    tell(&job, &tasks, &document, args.quiet);
    match (problems.is_empty(), document.files.is_empty()) {
        (false, _) => Err(Failure::Local(problems.join("\n"))),
        (true, true) => Ok(Exit::TaskFailed),
        (true, false) => Ok(Exit::Done),
    }
}

fn wanted<'t>(tasks: &[&'t Task], all: bool) -> Vec<(&'t Task, &'t Artifact)> {
    let is_package = |artifact: &Artifact| matches!(artifact.kind, ArtifactKind::Rpm | ArtifactKind::Srpm);
    let pairs = tasks.iter().flat_map(|task| task.artifacts.iter().map(|artifact| (*task, artifact)));
    pairs.filter(|(task, artifact)| all || task.state == TaskState::Succeeded && is_package(artifact)).collect()
}

fn tell(job: &Job, tasks: &[&Task], document: &DownloadDocument<'_>, quiet: bool) {
    for task in tasks.iter().filter(|task| task.state != TaskState::Succeeded) {
        aside(&format!("no packages of {}:{}, which is {}", job.id, task.platform, task.state));
    }
    let bytes = document.files.iter().map(|file| u64::try_from(file.artifact.size).unwrap_or_default()).sum();
    let there = document.files.iter().filter(|file| file.was_there).count();
    match document.files.len() {
        0 => aside(&format!("nothing to download of job {}, which is {}", job.id, job.progress)),
        _ if quiet => {}
        files => {
            let there = if there == 0 { String::new() } else { format!("; {there} of them there before") };
            aside(&format!("{}, {}{there}", count(files, "file"), size(bytes)));
        }
    }
}

/// Brings one file to its place. Says whether it was there.
async fn one(
    client: &PeopleClient,
    artifact: &Artifact,
    folder: &Path,
    force: bool,
    live: bool,
) -> Result<bool, Failure> {
    let Some(mut place) = Place::look(folder, artifact, force)? else {
        return Ok(true);
    };
    let size = u64::try_from(artifact.size).unwrap_or_default();
    let progress = FileProgress::begin(live, true, "downloading", artifact.name.as_str(), size);
    let resumed = place.written() > 0;
    fetch(client, artifact, &mut place, &progress).await?;
    if resumed && !place.is_whole() {
        // What an earlier download left was not the beginning of this file.
        place.restart()?;
        fetch(client, artifact, &mut place, &progress).await?;
    }
    progress.end("downloaded");
    place.publish()?;
    Ok(false)
}

async fn fetch(
    client: &PeopleClient,
    artifact: &Artifact,
    place: &mut Place,
    progress: &FileProgress,
) -> Result<(), Failure> {
    let mut tries = 0;
    while place.missing() > 0 {
        let before = place.written();
        let (start, mut bytes) = client.artifact(artifact, before).await?;
        if start != before {
            place.restart()?;
        }
        let cut = loop {
            match bytes.next().await {
                Some(Ok(bytes)) => {
                    place.write(&bytes)?;
                    progress.at(place.written());
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        if place.missing() == 0 {
            break;
        }
        tries = if place.written() > before { 1 } else { tries + 1 };
        match cut {
            Some(error) if !error.is_passing() || tries == TRIES => return Err(error.into()),
            None if tries == TRIES => break,
            _ => tokio::time::sleep(pause(tries, None)).await,
        }
    }
    Ok(())
}
