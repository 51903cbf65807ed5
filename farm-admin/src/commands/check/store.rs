//! `farm-admin check --store`: whether the store has what the database says it has, and what to do where not.
//!
//! Both are walked in 256 pages, by the first byte of the digests, so that of a farm of ten million files some ten thousand are in
//! memory at once. What is missing is noted in the database, which knows what it belongs to.

use std::{
    collections::HashMap,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

use anyhow::bail;
use farm_db::{
    Actor, PgConnection,
    restore::{self, Cure, JobThatMisses, KnownBlob, MadeGood},
};
use farm_janitor::{Config, chores::Tools};
use farm_store::Store;
use farm_types::Digest;
use futures::TryStreamExt as _;
use serde_json::json;

use super::super::{janitor_config, operator_account};
use crate::{farm::FarmArgs, output};

/// So many jobs are asked for at once.
const JOBS: i32 = 200;

/// What was compared, and what came of it.
#[derive(Default)]
struct Sum {
    blobs: u64,
    missing: u64,
    jobs: u64,
    built: u64,
    forgotten: u64,
    /// Files that are still missing.
    left: u64,
}

pub(super) fn run(
    farm: &FarmArgs,
    conn: &mut PgConnection,
    config: Option<&PathBuf>,
    requeue: bool,
) -> anyhow::Result<()> {
    let file = config.map_or_else(|| janitor_config(farm), |file| Ok(file.clone()))?;
    let config: Config = farm_daemon::load(&file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // The pool's first connection is made when it is needed, which is never.
    let store = runtime.block_on(async { Tools::open(&config) })?.store;
    let (actor, mut sum) = (operator_account(), Sum::default());
    let progress = Progress::new();
    for first in 0..=u8::MAX {
        let known = restore::known_blobs(conn, first)?;
        sum.blobs += known.len() as u64;
        let missing = runtime.block_on(lacks(&store, first, &known))?;
        sum.missing += u64::try_from(restore::note_missing(conn, &actor, first, &missing)?).unwrap_or_default();
        progress.show(first, &sum);
    }
    progress.end();
    report(farm, conn, &actor, requeue, &mut sum)?;
    match sum.left {
        0 => Ok(()),
        1 => bail!("one file is missing from the store"),
        n => bail!("{n} files are missing from the store"),
    }
}

/// What the store does not have, or not in its length, and what length it has instead.
async fn lacks(store: &Store, first: u8, known: &[KnownBlob]) -> anyhow::Result<Vec<(Digest, Option<u64>)>> {
    // Known first, listed then: what comes meanwhile is in the list alone, what goes meanwhile has no row any more when it is noted.
    let listed = store.list(Some(first)).map_ok(|blob| (blob.digest, blob.size));
    let there: HashMap<Digest, u64> = listed.try_collect().await?;
    let found = known.iter().map(|blob| (blob, there.get(&blob.digest).copied()));
    Ok(found.filter(|(blob, found)| *found != Some(blob.size)).map(|(blob, found)| (blob.digest, found)).collect())
}

/// Tells of each job what it misses, and mends what can be mended if that was asked for.
fn report(farm: &FarmArgs, conn: &mut PgConnection, actor: &Actor, requeue: bool, sum: &mut Sum) -> anyhow::Result<()> {
    let (mut after, mut separator) = (0, "");
    if farm.json {
        // One document, but never all jobs in memory.
        print!("{{\"jobs\": [");
    }
    loop {
        let jobs = restore::jobs_that_miss(conn, after, JOBS)?;
        let Some(last) = jobs.last() else { break };
        after = last.job.0;
        for job in &jobs {
            let done = if requeue { restore::make_good(conn, actor, job.job)? } else { MadeGood::default() };
            sum.jobs += 1;
            sum.built += done.built;
            sum.forgotten += done.forgotten;
            let left = |cure: Cure| !requeue || cure == Cure::HandIn;
            sum.left += job.files.iter().filter(|file| left(file.cure)).count() as u64;
            if farm.json {
                print!("{separator}{}", json!({ "missing": job, "done": done }));
                separator = ",\n";
            } else {
                tell(job, requeue);
            }
        }
    }
    let Sum { blobs, missing, jobs, built, forgotten, left } = sum;
    if farm.json {
        println!(
            "], \"sum\": {}}}",
            json!({ "blobs": blobs, "missing": missing, "jobs": jobs, "built": built, "forgotten": forgotten, "left": left })
        );
        return Ok(());
    }
    println!("{blobs} files were looked for, {missing} are missing, which {jobs} jobs need");
    if requeue {
        println!(
            "tasks that are built again: {built}; files that nothing brings back: {forgotten}; still missing: {left}"
        );
    }
    Ok(())
}

/// A line for each thing that can be done, with the files it is about.
fn tell(job: &JobThatMisses, requeue: bool) {
    let mut groups: Vec<(String, Cure, Vec<String>)> = Vec::new();
    for file in &job.files {
        let of = match (&file.platform, file.attempt) {
            (Some(platform), Some(attempt)) => format!("{platform}, attempt {attempt}"),
            _ => "source".to_owned(),
        };
        let name = output::shown(&file.name);
        match groups.iter_mut().find(|(place, cure, _)| *place == of && *cure == file.cure) {
            Some((.., names)) => names.push(name),
            None => groups.push((of, file.cure, vec![name])),
        }
    }
    for (of, cure, names) in groups {
        let cure = match (cure, requeue) {
            (Cure::Build, false) => "can be built again",
            (Cure::Build, true) => "is built again",
            (Cure::HandIn, _) => "whoever has the source has to hand it in again, or to upload it",
            (Cure::Forget, false) => "nothing brings that back",
            (Cure::Forget, true) => "nothing brings that back, and it is not missed any more",
        };
        println!("job {} of {}: {of}: {}: {cure}", job.job, output::shown(&job.person), names.join(", "));
    }
}

/// How far it is, on a terminal.
struct Progress(bool);

impl Progress {
    fn new() -> Self {
        Self(std::io::stderr().is_terminal())
    }

    fn show(&self, first: u8, sum: &Sum) {
        if self.0 {
            let parts = u32::from(first) + 1;
            eprint!("\r{parts} of 256 parts, {} files, {} missing", sum.blobs, sum.missing);
            let _ = std::io::stderr().flush();
        }
    }

    fn end(&self) {
        if self.0 {
            eprintln!();
        }
    }
}
