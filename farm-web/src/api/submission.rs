//! From a request to a submission: every field checked at the door, every problem said at once.
//!
//! What the sources are, and whether the targets exist, is decided by the validator alone.

use farm_api::{
    error::Reason,
    options::BuildOptions,
    people::{NewChain, NewJob, NewSource},
};
use farm_db::{Actor, intake::Submission};
use farm_types::{BucketName, Class, Digest, TargetList};
use sha2::{Digest as _, Sha256};

use crate::error::{AppError, Result};

const TITLE_LENGTH: usize = 200;
const NAME_LENGTH: usize = 1024;
const TARGETS_LENGTH: usize = 4000;
/// A week.
const LONGEST_TIMEOUT: u32 = 7 * 24 * 60 * 60;
/// Where results go that nobody asked a place for.
const BUCKET: &str = "scratch";

/// Checks a request.
pub fn check(actor: Actor, new: NewJob, max_sources: usize) -> Result<Submission> {
    let request = digest(&new)?;
    let targets = targets(&new.targets);
    let title = title(&new);
    let mut problems = problems(&new, &title, &targets, max_sources);
    let options = new.options.check().unwrap_or_else(|reasons| {
        problems.extend(reasons);
        BuildOptions::default()
    });
    if !problems.is_empty() {
        return Err(AppError::refused(problems));
    }
    let bucket = match new.bucket {
        Some(bucket) => bucket,
        None => BUCKET.parse::<BucketName>().map_err(|e| AppError::Mistake(e.to_string()))?,
    };
    Ok(Submission {
        actor,
        key: new.key,
        request,
        title,
        bucket,
        class: new.class.unwrap_or(Class::Normal),
        targets,
        timeout_seconds: new.timeout_seconds,
        after: new.after,
        network: new.network,
        like: new.like,
        options,
        sources: new.sources.into_iter().map(|source| (source.name, source.digest)).collect(),
    })
}

/// Checks a chain. Each request is told from others by itself and all before it, so that what was handed in after something else is
/// another request.
pub fn check_chain(actor: &Actor, new: NewChain, max_sources: usize) -> Result<Vec<Submission>> {
    let (mut jobs, mut problems) = (Vec::<Submission>::new(), Vec::new());
    if new.jobs.is_empty() {
        problems.push(Reason { code: "no_job".to_owned(), source: None, message: "the chain has no job".to_owned() });
    }
    for (n, job) in (1..).zip(new.jobs) {
        if n > 1 && job.after.is_some() {
            let message = format!("job {n} of the chain comes after job {}: it can come after no other", n - 1);
            problems.push(Reason { code: "after".to_owned(), source: None, message });
        }
        match check(actor.clone(), job, max_sources) {
            Ok(mut job) => {
                if let Some(before) = jobs.last() {
                    let both = [before.request.as_bytes().as_slice(), job.request.as_bytes()].concat();
                    job.request = Digest::from_bytes(Sha256::digest(both).into());
                }
                jobs.push(job);
            }
            Err(AppError::Refused(body)) => {
                let of_job = |reason: Reason| {
                    let source = reason.source.map(|source| format!(", source {source}")).unwrap_or_default();
                    let message = format!("job {n} of the chain{source}: {}", reason.message);
                    Reason { source: None, message, ..reason }
                };
                problems.extend(body.reasons.into_iter().map(of_job));
            }
            Err(error) => return Err(error),
        }
    }
    if problems.is_empty() { Ok(jobs) } else { Err(AppError::refused(problems)) }
}

/// The same request has the same digest: its JSON has one form, in the order of the fields of its type.
fn digest(new: &NewJob) -> Result<Digest> {
    let json = serde_json::to_vec(new).map_err(|e| AppError::Mistake(e.to_string()))?;
    Ok(Digest::from_bytes(Sha256::digest(json).into()))
}

fn targets(words: &[String]) -> String {
    match TargetList::parse(words).to_string() {
        nothing if nothing.is_empty() => "auto".to_owned(),
        list => list,
    }
}

fn title(new: &NewJob) -> String {
    match new.title.as_deref().map(str::trim) {
        Some(title) if !title.is_empty() => title.to_owned(),
        _ => cut(&new.sources.iter().map(|source| label(&source.name)).collect::<Vec<_>>().join(", ")),
    }
}

/// What the name of a file says to a person, on one line.
fn label(name: &str) -> String {
    let name = name.strip_suffix(".src.rpm").filter(|rest| !rest.is_empty()).unwrap_or(name);
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn cut(text: &str) -> String {
    if text.chars().count() <= TITLE_LENGTH {
        return text.to_owned();
    }
    text.chars().take(TITLE_LENGTH - 1).chain(['…']).collect()
}

fn problems(new: &NewJob, title: &str, targets: &str, max_sources: usize) -> Vec<Reason> {
    let mut problems = Vec::new();
    let mut problem = |code: &str, message: String| {
        problems.push(Reason { code: code.to_owned(), source: None, message });
    };
    if title.chars().count() > TITLE_LENGTH {
        problem("title", format!("the title is longer than {TITLE_LENGTH} characters"));
    }
    if title.chars().any(char::is_control) {
        problem("title", "the title is no single line of text".to_owned());
    }
    if targets.len() > TARGETS_LENGTH {
        problem("targets", format!("the list of targets is longer than {TARGETS_LENGTH} bytes"));
    }
    if targets.chars().any(char::is_control) {
        problem("targets", format!("the targets “{}” have characters that no name has", targets.escape_debug()));
    }
    if let Some(seconds) = new.timeout_seconds.filter(|seconds| !(1..=LONGEST_TIMEOUT).contains(seconds)) {
        problem("timeout", format!("a timeout of {seconds} seconds is not between 1 and {LONGEST_TIMEOUT}"));
    }
    if new.sources.is_empty() {
        problem("no_source", "there is nothing to build: the job has no source".to_owned());
    }
    if new.sources.len() > max_sources {
        let count = new.sources.len();
        problem(
            "too_many_sources",
            format!("the job has {count} sources, this farm takes {max_sources}; hand in several jobs"),
        );
    }
    problems.extend((1..).zip(&new.sources).filter_map(|(position, source)| name_problem(position, source)));
    problems
}

fn name_problem(position: u32, source: &NewSource) -> Option<Reason> {
    let name = &source.name;
    let what = match name.chars().count() {
        0 => "has no name".to_owned(),
        n if n > NAME_LENGTH => format!("has a name of {n} characters; {NAME_LENGTH} are allowed"),
        _ if name.contains('\0') => "has a zero byte in its name".to_owned(),
        _ => return None,
    };
    Some(Reason { code: "file_name".to_owned(), source: Some(position), message: format!("source {position} {what}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(json: serde_json::Value) -> NewJob {
        let mut whole =
            serde_json::json!({ "key": "k", "sources": [{ "name": "a-1-1.src.rpm", "digest": "00".repeat(32) }] });
        whole.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    fn checked(json: serde_json::Value) -> Result<Submission> {
        check(Actor::operator("alice"), job(json), 3)
    }

    fn source(name: &str) -> serde_json::Value {
        serde_json::json!({ "name": name, "digest": "00".repeat(32) })
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let submission = checked(serde_json::json!({})).unwrap();
        assert_eq!(submission.title, "a-1-1");
        assert_eq!(submission.targets, "auto");
        assert_eq!((submission.bucket.as_str(), submission.class), ("scratch", Class::Normal));
    }

    #[test]
    fn every_problem_is_said_at_once() {
        let sources = [source(""), source(&"x".repeat(1025)), source("a\0b"), source("fine")];
        let wrong = serde_json::json!({
            "title": "two\nlines", "targets": ["a\u{7}"], "timeout_seconds": 0, "sources": sources,
        });
        let AppError::Refused(body) = checked(wrong).unwrap_err() else { panic!() };
        let codes: Vec<_> = body.reasons.iter().map(|r| (r.code.as_str(), r.source)).collect();
        let file = |position| ("file_name", Some(position));
        let expected = [("title", None), ("targets", None), ("timeout", None), ("too_many_sources", None)];
        assert_eq!(codes, [&expected[..], &[file(1), file(2), file(3)]].concat());
    }

    #[test]
    fn a_job_without_sources_is_refused() {
        let AppError::Refused(body) = checked(serde_json::json!({ "sources": [] })).unwrap_err() else { panic!() };
        assert_eq!(body.reasons[0].code, "no_source");
    }

    #[test]
    fn a_title_made_of_names_is_one_line_and_not_too_long() {
        let sources = [source("a\nb.src.rpm"), source(&"ü".repeat(300))];
        let title = checked(serde_json::json!({ "sources": sources })).unwrap().title;
        assert!(title.starts_with("a b, ü") && title.ends_with('…'), "{title}");
        assert_eq!(title.chars().count(), 200);
    }

    #[test]
    fn the_same_request_has_the_same_digest_and_another_one_has_not() {
        let request = |class: &str| checked(serde_json::json!({ "class": class })).unwrap().request;
        assert_eq!(request("normal"), request("normal"));
        assert_ne!(request("normal"), request("urgent"));
    }
}
