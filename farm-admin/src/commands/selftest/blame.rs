//! Which process is to blame.

use farm_api::people::{Job, Task, Why};
use farm_types::{Cause, Outcome, Progress, TaskState};

use super::report::Trouble;

/// A job that was not accepted: rejected, or not decided on in time.
pub(super) fn job(job: &Job, patience: &str) -> Option<Trouble> {
    let what = match job.progress {
        Progress::Submitted => format!("no validator has decided on job {} within {patience}; is one running?", job.id),
        Progress::Rejected => {
            let reasons: Vec<_> = job.reasons.iter().map(|reason| reason.message.as_str()).collect();
            format!("job {} was rejected: {}", job.id, reasons.join("; "))
        }
        Progress::Cancelled if job.tasks.is_empty() => format!("somebody withdrew job {}", job.id),
        _ => return None,
    };
    let blame = if job.progress == Progress::Cancelled { "whoever withdrew it" } else { "farm-validator" };
    Some(Trouble { platform: None, blame: blame.to_owned(), what, excerpt: Vec::new(), log: None })
}

/// A task that did not succeed; `why` where it has not ended.
pub(super) fn task(task: &Task, why: Option<&Why>, log: String) -> Option<Trouble> {
    // Between two attempts the first of them tells more than the wait.
    let spoilt =
        task.attempts.last().filter(|attempt| attempt.outcome.is_some_and(|outcome| outcome != Outcome::Succeeded));
    let blame = match task.state {
        TaskState::Succeeded => return None,
        TaskState::Waiting => "the hub, whose database lets a task wait for nothing".to_owned(),
        TaskState::Pending if spoilt.is_some() => of_cause(task, spoilt.and_then(|attempt| attempt.cause)),
        TaskState::Pending => match why {
            Some(why) if why.builders.iter().any(|builder| builder.could_take_it) => {
                "farm-hub: a builder could take the task and was not given it".to_owned()
            }
            _ => "farm-builder: none takes the task".to_owned(),
        },
        TaskState::Leased => builder(task),
        TaskState::Failed | TaskState::Cancelled => of_cause(task, task.cause),
    };
    let what = match (why, spoilt) {
        (Some(why), Some(attempt)) if task.state == TaskState::Pending => {
            let message = attempt.message.as_deref().unwrap_or("no reason was recorded");
            format!("has not ended in time: {}; that was: {message}", why.summary)
        }
        (Some(why), _) => format!("has not ended in time: {}", why.summary),
        (None, _) => {
            let cause = task.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
            let stage = task.stage.map(|stage| format!(" in stage {stage}")).unwrap_or_default();
            format!("{}{cause}{stage}: {}", task.state, task.message.as_deref().unwrap_or("no reason was recorded"))
        }
    };
    let log = (!task.attempts.is_empty()).then_some(log);
    Some(Trouble { platform: Some(task.platform.clone()), blame, what, excerpt: task.excerpt.clone(), log })
}

fn of_cause(task: &Task, cause: Option<Cause>) -> String {
    match cause {
        Some(Cause::Dependencies | Cause::Chroot) => format!("the repositories of {}, or its recipe", task.platform),
        Some(Cause::Upload) => "farm-hub or its store: the results could not be delivered".to_owned(),
        Some(Cause::DiskFull | Cause::OutOfMemory) => format!("the machine of {}", builder(task)),
        Some(Cause::Cancelled) => "whoever withdrew it".to_owned(),
        Some(Cause::BuilderLost | Cause::Internal | Cause::Timeout | Cause::Silent) | None => builder(task),
        Some(_) => format!("the rpm tools of {}: the package is known to build", task.platform),
    }
}

fn builder(task: &Task) -> String {
    match &task.builder {
        Some(name) => format!("farm-builder {name}"),
        None => "farm-builder".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn a_task(changes: Value) -> Task {
        let mut task = json!({"id": 7, "job": 3, "platform": "f13-x86_64", "state": "pending", "created": "2026-01-01T00:00:00Z",
            "url": "/tasks/7", "log_url": "/api/v1/tasks/7/log"});
        task.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(task).unwrap()
    }

    fn why(could_take_it: bool) -> Why {
        let why = json!({"task": 7, "state": "pending", "reason": "busy", "summary": "no builder can take it now",
            "builders": [{"builder": "host1", "could_take_it": could_take_it, "reason": "full", "summary": "is full"}]});
        serde_json::from_value(why).unwrap()
    }

    fn blamed(changes: Value, why: Option<&Why>) -> String {
        task(&a_task(changes), why, "http://farm/log".to_owned()).unwrap().blame
    }

    #[test]
    fn a_task_that_nobody_takes_is_the_builders_fault_and_one_that_is_not_given_the_hubs() {
        assert!(blamed(json!({}), Some(&why(false))).starts_with("farm-builder"));
        assert!(blamed(json!({}), Some(&why(true))).starts_with("farm-hub"));
    }

    #[test]
    fn what_spoilt_the_last_attempt_tells_more_than_the_wait_for_the_next() {
        let attempt = json!({"number": 1, "builder": "host1", "outcome": "farm_fault", "cause": "chroot", "log_size": 0,
            "message": "the repositories cannot be read", "started": "2026-01-01T00:00:00Z"});
        let trouble =
            task(&a_task(json!({"attempts": [attempt]})), Some(&why(true)), "http://farm/log".to_owned()).unwrap();
        assert_eq!(trouble.blame, "the repositories of f13-x86_64, or its recipe");
        assert!(trouble.what.ends_with("that was: the repositories cannot be read"), "{}", trouble.what);
    }

    #[test]
    fn a_failure_is_blamed_by_its_cause() {
        let failed = |cause: &str| blamed(json!({"state": "failed", "cause": cause, "builder": "host1"}), None);
        assert_eq!(failed("builder_lost"), "farm-builder host1");
        assert_eq!(failed("dependencies"), "the repositories of f13-x86_64, or its recipe");
        assert!(failed("upload").starts_with("farm-hub"));
        assert!(failed("build").starts_with("the rpm tools"));
    }

    #[test]
    fn what_was_built_is_nobodys_fault() {
        assert!(task(&a_task(json!({"state": "succeeded"})), None, String::new()).is_none());
    }

    #[test]
    fn a_job_without_a_decision_is_the_validators_fault() {
        let undecided = json!({"id": 3, "key": "k", "person": "root", "title": "", "bucket": "scratch", "class": "urgent",
            "targets": "auto", "progress": "submitted", "succeeded": 0, "total": 0, "submitted": "2026-01-01T00:00:00Z",
            "sources": [], "tasks": [], "url": "/jobs/3"});
        let trouble = job(&serde_json::from_value(undecided).unwrap(), "5m").unwrap();
        assert_eq!(trouble.blame, "farm-validator");
        assert_eq!(trouble.what, "no validator has decided on job 3 within 5m; is one running?");
    }
}
