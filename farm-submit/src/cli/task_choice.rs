//! How a task is named on the command line: by its job and its platform.

use std::str::FromStr;

use farm_api::people::{Job, Task};
use farm_types::{JobId, PlatformName, TaskState};

use crate::exit::Failure;

/// `42`, `42:f13` or `42:f13-x86_64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChoice {
    /// The job.
    pub job: JobId,
    /// A platform or a release, in small letters.
    platform: Option<String>,
}

impl FromStr for TaskChoice {
    type Err = farm_types::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (job, platform) = text.split_once(':').map_or((text, None), |(job, platform)| (job, Some(platform)));
        Ok(Self { job: job.parse()?, platform: platform.map(str::to_lowercase).filter(|name| !name.is_empty()) })
    }
}

impl TaskChoice {
    /// All tasks that are meant: those of the platform or release, or of the whole job.
    pub fn all<'j>(&self, job: &'j Job) -> Result<Vec<&'j Task>, Failure> {
        let named = |platform: &PlatformName| match &self.platform {
            Some(name) => platform.as_str() == name || platform.release() == name,
            None => true,
        };
        let tasks: Vec<_> = job.tasks.iter().filter(|task| named(&task.platform)).collect();
        match &self.platform {
            Some(name) if tasks.is_empty() => Err(Failure::usage(format!(
                "job {} has no task on “{}”; it has {}",
                job.id,
                name.escape_debug(),
                platforms(&job.tasks.iter().collect::<Vec<_>>())
            ))),
            _ => Ok(tasks),
        }
    }

    /// The one task that is meant: the only one, or the only one that failed. Else the choices are told.
    pub fn one<'j>(&self, job: &'j Job) -> Result<&'j Task, Failure> {
        let tasks = self.all(job)?;
        let failed: Vec<_> = tasks.iter().copied().filter(|task| task.state == TaskState::Failed).collect();
        match (&tasks[..], &failed[..]) {
            ([task], _) | (_, [task]) => Ok(task),
            ([], _) => Err(Failure::usage(format!("job {} has no tasks: it is {}", job.id, job.progress))),
            _ => {
                let mut lines = vec![format!("job {} has {} tasks; which one?", job.id, tasks.len())];
                lines.extend(tasks.iter().map(|task| format!("  {}:{}  {}", job.id, task.platform, task.state)));
                Err(Failure::Usage(lines))
            }
        }
    }
}

fn platforms(tasks: &[&Task]) -> String {
    match tasks {
        [] => "no tasks at all".to_owned(),
        _ => tasks.iter().map(|task| task.platform.as_str()).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_named_by_job_and_platform_in_any_letter_case() {
        let choice: TaskChoice = "42:F13-x86_64".parse().unwrap();
        assert_eq!(choice, TaskChoice { job: JobId(42), platform: Some("f13-x86_64".into()) });
        assert_eq!("42".parse::<TaskChoice>().unwrap().platform, None);
        assert!("f13:42".parse::<TaskChoice>().is_err());
        assert!("0".parse::<TaskChoice>().is_err());
    }
}
