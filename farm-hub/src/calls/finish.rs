use std::collections::HashSet;

use axum::{extract::State, http::StatusCode};
use farm_api::hub::{Finish, LogLine};
use farm_types::{ArtifactKind, Outcome};
use tracing::info;

use crate::{
    caller::{Caller, Document, Held, storable},
    error::{HubError, Result},
    hub::Shared,
};

/// The longest end of an attempt that is taken: thousands of packages and a long excerpt.
pub(crate) const MAX_END: usize = 8 << 20;

/// The largest record of a build that is taken. Builders and pages read one whole.
const MAX_RECORD: u64 = 64 << 20;

/// Marks of stages that are kept: of thousands of sources.
const MAX_MARKS: usize = 20_000;

/// The attempt has ended. What is not right is refused before the lease is touched, so it can be sent again, mended.
pub(crate) async fn finish(
    State(hub): State<Shared>,
    Caller(builder): Caller,
    Held(key): Held,
    Document(end): Document<Finish>,
) -> Result<StatusCode> {
    check(&end).map_err(HubError::bad_request)?;
    let (outcome, cause) = (end.outcome, end.cause);
    let end = Finish {
        message: storable(end.message),
        excerpt: end.excerpt.into_iter().map(|line| LogLine { text: storable(line.text), ..line }).collect(),
        ..end
    };
    hub.batches.ends.run((builder.id, key, end)).await??;
    info!(
        task.id = %key.task, attempt = %key.attempt, builder.id = %builder.id, %outcome,
        cause = cause.map(tracing::field::display), "attempt ended"
    );
    Ok(StatusCode::NO_CONTENT)
}

/// What is wrong with it, as a sentence.
fn check(end: &Finish) -> Result<(), String> {
    match (end.outcome, end.cause) {
        (Outcome::Succeeded, None) | (Outcome::Failed | Outcome::FarmFault, Some(_)) => {}
        (Outcome::Succeeded, Some(cause)) => return Err(format!("it succeeded, so {cause} cannot be the cause")),
        (Outcome::Failed | Outcome::FarmFault, None) => return Err("it did not succeed, so say the cause".to_owned()),
        (other, _) => return Err(format!("a builder ends an attempt as succeeded, failed or farm_fault, not {other}")),
    }
    let mut names = HashSet::new();
    if let Some(twice) = end.artifacts.iter().find(|artifact| !names.insert(&artifact.name)) {
        return Err(format!("there are two artifacts of the name “{}”", twice.name));
    }
    if end.artifacts.iter().filter(|artifact| artifact.kind == ArtifactKind::Log).count() > 1 {
        return Err("there are two logs; an attempt has one".to_owned());
    }
    let records = end.artifacts.iter().filter(|artifact| artifact.kind == ArtifactKind::Manifest);
    if let Some(record) = records.into_iter().find(|record| record.size > MAX_RECORD) {
        return Err(format!("the record “{}” has {} bytes; at most {MAX_RECORD} are taken", record.name, record.size));
    }
    let usage = [end.usage.peak_memory_bytes, end.usage.cpu_milliseconds, end.usage.written_bytes];
    if usage.into_iter().flatten().any(|number| i64::try_from(number).is_err()) {
        return Err("no build uses up that much".to_owned());
    }
    if end.marks.len() > MAX_MARKS {
        return Err(format!("there are {} marks of stages; at most {MAX_MARKS} are kept", end.marks.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(document: serde_json::Value) -> Option<String> {
        check(&serde_json::from_value(document).unwrap()).err()
    }

    #[test]
    fn outcome_and_cause_must_agree() {
        let json = |outcome: &str, cause: Option<&str>| serde_json::json!({ "outcome": outcome, "cause": cause });
        for good in [json("succeeded", None), json("failed", Some("build")), json("farm_fault", Some("internal"))] {
            assert_eq!(complaint(good), None);
        }
        for bad in [
            json("succeeded", Some("build")),
            json("failed", None),
            json("farm_fault", None),
            json("lost", Some("builder_lost")),
            json("cancelled", Some("cancelled")),
            json("released", None),
        ] {
            assert!(complaint(bad.clone()).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_usage_that_no_build_can_have_is_refused() {
        let usage = |bytes: u64| serde_json::json!({ "outcome": "succeeded", "usage": { "written_bytes": bytes } });
        assert_eq!(complaint(usage(1 << 50)), None);
        assert!(complaint(usage(u64::MAX)).is_some());
    }

    #[test]
    fn a_record_that_nobody_could_read_whole_is_refused() {
        let record = |size: u64| {
            let record =
                serde_json::json!({ "kind": "manifest", "name": "a.json", "digest": "00".repeat(32), "size": size });
            serde_json::json!({ "outcome": "succeeded", "artifacts": [record] })
        };
        assert_eq!(complaint(record(MAX_RECORD)), None);
        assert!(complaint(record(MAX_RECORD + 1)).is_some());
    }

    #[test]
    fn two_artifacts_of_one_name_and_two_logs_are_refused() {
        let artifact = |kind: &str, name: &str| serde_json::json!({ "kind": kind, "name": name, "digest": "00".repeat(32), "size": 1 });
        let twice = [artifact("rpm", "a.rpm"), artifact("srpm", "a.rpm")];
        let logs = [artifact("log", "a.log.gz"), artifact("log", "b.log.gz")];
        for artifacts in [twice, logs] {
            assert!(complaint(serde_json::json!({ "outcome": "succeeded", "artifacts": artifacts })).is_some());
        }
    }
}
