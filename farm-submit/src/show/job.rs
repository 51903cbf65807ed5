//! A job and its tasks, as `farm show`, `farm watch` and `farm-submit` print them.

use std::fmt::{self, Write};

use farm_api::{
    client::PeopleClient,
    people::{Artifact, Job, Task},
};
use farm_types::{ArtifactKind, TaskState};
use jiff::Timestamp;

use super::{BOLD, DIM, ago, count, elapsed, progress, shown, size, task_state};
use crate::exit::sentence;

/// Lines of the log that are shown of a failed task.
const EXCERPT_LINES: usize = 20;

/// Everything about a job.
pub fn full(job: &Job, client: &PeopleClient, now: Timestamp) -> String {
    collected(|out| {
        let (style, state) = progress(job.progress);
        writeln!(out, "{BOLD}Job {}{BOLD:#}  {style}{state}{style:#}{}", job.id, counts(job))?;
        let mut line = |name: &str, value: &str| writeln!(out, "  {name:<10} {}", shown(value));
        line("title", &job.title)?;
        line("submitted", &format!("{} by {}", ago(job.submitted, now), job.person))?;
        if let Some(finished) = job.finished {
            let took = finished.as_second() - job.submitted.as_second();
            line("finished", &format!("{}, {} after it was submitted", ago(finished, now), elapsed(took)))?;
        }
        line("targets", if job.targets.is_empty() { "auto" } else { &job.targets })?;
        line("bucket", &format!("{}, class {}", job.bucket, job.class))?;
        if let Some(like) = job.like {
            line("packages", &format!("those of task {}, attempt {}", like.task, like.attempt))?;
        }
        if let Some(after) = job.after {
            line("after", &format!("job {after}"))?;
        }
        for (what, value) in job.options.shown() {
            line(what, &value)?;
        }
        line("id", job.key.as_str())?;
        line("page", &client.url(&job.url))?;
        if let Some(gone) = &job.gone {
            let bytes = size(u64::try_from(gone.bytes).unwrap_or_default());
            line("files", &format!("gone since {} ({bytes}): {}", ago(gone.at, now), gone.why))?;
        }
        remarks(out, job)?;
        sources(out, job)?;
        if !job.tasks.is_empty() {
            writeln!(out, "\n{BOLD}Tasks{BOLD:#}")?;
            for task in &job.tasks {
                out.write_str(&task_line(task, client, now, widest(job)))?;
                attempts(out, task)?;
                used(out, task)?;
            }
        }
        Ok(())
    })
}

/// What has become of a job: each task, and the sum.
pub fn results(job: &Job, client: &PeopleClient, now: Timestamp) -> String {
    collected(|out| {
        for task in &job.tasks {
            out.write_str(&task_line(task, client, now, widest(job)))?;
        }
        let (style, state) = progress(job.progress);
        writeln!(out, "Job {} {style}{state}{style:#}{}", job.id, counts(job))
    })
}

/// How a task stands, its packages, or why it failed.
pub fn task_line(task: &Task, client: &PeopleClient, now: Timestamp, width: usize) -> String {
    collected(|out| {
        let (style, state) = task_state(task.state);
        write!(out, "  {:<width$}  {style}{state:<9}{style:#}", task.platform)?;
        writeln!(out, "{}", details(task, now))?;
        for artifact in packages(task) {
            let bytes = size(u64::try_from(artifact.size).unwrap_or_default());
            writeln!(out, "      {}  {DIM}{bytes}{DIM:#}", shown(artifact.name.as_str()))?;
        }
        if task.state == TaskState::Failed {
            for line in task.excerpt.iter().take(EXCERPT_LINES) {
                writeln!(out, "      {DIM}{:>5} |{DIM:#} {}", line.number, shown(&line.text.replace('\t', "    ")))?;
            }
            writeln!(out, "      log: {}", shown(&client.url(&task.log_url)))?;
        }
        Ok(())
    })
}

/// What there is to say of a task beside its state: stage, time, builder, reason.
pub fn details(task: &Task, now: Timestamp) -> String {
    let mut parts = Vec::new();
    match task.state {
        TaskState::Leased => parts.extend(task.stage.map(|stage| stage.to_string())),
        TaskState::Failed => match (task.cause, task.stage) {
            (Some(cause), Some(stage)) if cause.as_str() != stage.as_str() => parts.push(format!("{cause} in {stage}")),
            (Some(cause), _) => parts.push(cause.to_string()),
            (None, _) => {}
        },
        _ => {}
    }
    // What is noted of an earlier attempt says nothing about a task that waits for the next one, but why there is one.
    if let (TaskState::Pending, Some(last)) = (task.state, task.attempts.last()) {
        parts.extend(
            last.outcome.map(|outcome| format!("after attempt {} on {}: {outcome}", last.number, last.builder)),
        );
        parts.extend(last.message.clone().filter(|message| !message.is_empty()));
    }
    if let Some(started) = task.started.filter(|_| !matches!(task.state, TaskState::Waiting | TaskState::Pending)) {
        parts.push(elapsed(task.finished.unwrap_or(now).as_second() - started.as_second()));
        parts.extend(task.builder.as_ref().map(|builder| format!("on {builder}")));
    }
    parts.extend(task.expected.as_ref().map(ToString::to_string));
    let packages = packages(task).count();
    if packages > 0 {
        parts.push(count(packages, "package"));
    }
    let mut text = parts.iter().map(|part| format!("  {}", shown(part))).collect::<String>();
    if let Some(message) = task.message.as_deref().filter(|message| !message.is_empty()) {
        text += &format!("  {}", shown(message));
    }
    text
}

/// The binary packages of a task.
pub fn packages(task: &Task) -> impl Iterator<Item = &Artifact> {
    task.artifacts.iter().filter(|artifact| task.state == TaskState::Succeeded && artifact.kind == ArtifactKind::Rpm)
}

/// The width of the longest platform's name.
pub fn widest(job: &Job) -> usize {
    job.tasks.iter().map(|task| task.platform.as_str().len()).max().unwrap_or(0)
}

/// The names of a job's sources, in order.
pub fn source_names(job: &Job) -> Vec<&str> {
    job.sources.iter().map(|source| source.file_name.as_str()).collect()
}

fn counts(job: &Job) -> String {
    if job.total == 0 { String::new() } else { format!(": {} of {} built", job.succeeded, job.total) }
}

fn remarks(out: &mut String, job: &Job) -> fmt::Result {
    for (title, remarks) in [("Rejected because", &job.reasons), ("Warnings", &job.warnings)] {
        if !remarks.is_empty() {
            writeln!(out, "\n{BOLD}{title}{BOLD:#}")?;
        }
        for remark in remarks {
            writeln!(out, "  - {}", shown(&sentence(remark, &source_names(job))))?;
        }
    }
    Ok(())
}

fn sources(out: &mut String, job: &Job) -> fmt::Result {
    writeln!(out, "\n{BOLD}Sources{BOLD:#}")?;
    for source in &job.sources {
        let bytes = size(u64::try_from(source.size).unwrap_or_default());
        let nevr = source.nevr.as_deref().map(|nevr| format!("  {}", shown(nevr))).unwrap_or_default();
        writeln!(out, "  {}  {DIM}{bytes}{DIM:#}{nevr}", shown(&source.file_name))?;
    }
    Ok(())
}

/// All attempts at a task, where there was more than one.
fn attempts(out: &mut String, task: &Task) -> fmt::Result {
    for attempt in task.attempts.iter().filter(|_| task.attempts.len() > 1) {
        let outcome = attempt.outcome.map_or("running", |outcome| outcome.as_str());
        let cause = attempt.cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        let message = attempt.message.as_deref().map(|message| format!("  {}", shown(message))).unwrap_or_default();
        writeln!(out, "      attempt {} on {}  {outcome}{cause}{message}", attempt.number, attempt.builder)?;
    }
    Ok(())
}

/// What the latest attempt at a task used up, as far as it is known.
fn used(out: &mut String, task: &Task) -> fmt::Result {
    let Some(usage) = task.attempts.last().map(|attempt| attempt.usage) else { return Ok(()) };
    let memory = usage.peak_memory_bytes.map(|peak| format!("{} of memory", size(peak)));
    let processor =
        usage.cpu_milliseconds.map(|used| format!("{}.{} s of the processor", used / 1000, used % 1000 / 100));
    let disk = usage.written_bytes.map(|written| format!("{} written", size(written)));
    let used: Vec<String> = [memory, processor, disk].into_iter().flatten().collect();
    if used.is_empty() { Ok(()) } else { writeln!(out, "      {DIM}used {}{DIM:#}", used.join(", ")) }
}

/// Writing into a text cannot fail; this says so once.
fn collected(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    let _ = write(&mut text);
    text
}
