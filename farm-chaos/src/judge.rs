//! Whether the farm kept what it promised.

use std::{collections::BTreeMap, io::Read as _, time::SystemTime};

use farm_store::{Store, StoreConfig, StoreError};
use farm_types::{AttemptNumber, Cause, JobId, Outcome, TaskId, TaskState};
use futures::TryStreamExt as _;

use crate::{
    fake::SPOILT,
    farm::Farm,
    fault::Strike,
    people::Promise,
    plan::{LINE, Plan, log_line, stamp},
    questions::{self, Attempt, Package, Task},
    way::Known,
};

/// What is wrong, and of which job, where it is of one.
#[derive(Debug, Clone)]
pub struct Wrong {
    /// The job.
    pub job: Option<JobId>,
    /// What, as a sentence.
    pub what: String,
}

/// Everything that there is to judge by.
#[derive(Debug)]
pub struct Evidence {
    /// What people were promised.
    pub promises: Vec<Promise>,
    /// All tasks.
    pub tasks: Vec<Task>,
    /// All attempts.
    pub attempts: Vec<Attempt>,
    /// All packages.
    pub packages: Vec<Package>,
    /// Since when things happened to the farm.
    pub storm_began: SystemTime,
    /// What happened to it.
    pub strikes: Vec<Strike>,
    /// What builders were told that the farm has.
    pub acknowledged: Known,
    /// The store, as it is.
    pub store: Store,
}

impl Evidence {
    /// Takes it.
    pub fn take(
        farm: &Farm,
        promises: Vec<Promise>,
        attempts: Vec<Attempt>,
        (storm_began, strikes): (SystemTime, Vec<Strike>),
    ) -> anyhow::Result<Self> {
        let conn = &mut farm.database.connect()?;
        let folder = StoreConfig::Folder { path: farm.configs.store.clone() };
        Ok(Self {
            promises,
            tasks: questions::tasks(conn)?,
            attempts,
            packages: questions::packages(conn)?,
            storm_began,
            strikes,
            acknowledged: farm.acknowledged.all(),
            store: Store::open(&folder, &farm.root)?,
        })
    }

    /// Everything that is wrong but losses and doubles.
    pub async fn all_wrongs(&self) -> anyhow::Result<Vec<Wrong>> {
        let mut wrongs = self.changelings().await?;
        wrongs.extend(self.lost_logs().await?);
        wrongs.extend(self.lost_ends());
        wrongs.extend(self.groundless_losses());
        wrongs.extend(self.unplanned_faults());
        Ok(wrongs)
    }

    /// Of how many attempts a part of the log was acknowledged, of how many of these nothing came, and of how many the end was.
    pub fn counts_of_acknowledged(&self) -> (usize, usize, usize) {
        let Known { logs, ends } = &self.acknowledged;
        let came = self.attempts.iter().filter(|attempt| attempt.is_accepted());
        let came = came.filter(|attempt| logs.contains_key(&(attempt.task, attempt.number))).count();
        (logs.len(), logs.len() - came, ends.len())
    }

    /// Jobs that did not end as they had to: losses.
    pub fn losses(&self) -> Vec<Wrong> {
        self.promises.iter().flat_map(|promise| self.loss(promise)).collect()
    }

    fn loss(&self, promise: &Promise) -> Vec<Wrong> {
        let tasks: Vec<&Task> = self.tasks.iter().filter(|task| task.job == promise.job).collect();
        let wrong = |what| Wrong { job: Some(promise.job), what };
        // One that was withdrawn before it was decided on has none.
        if tasks.len() != promise.platforms && !(promise.cancelled && tasks.is_empty()) {
            return vec![wrong(format!("job {} has {} tasks of {}", promise.job, tasks.len(), promise.platforms))];
        }
        let comes_after_nothing = promise.after.is_some_and(|before| !self.has_succeeded(before));
        let missed = tasks.into_iter().filter(|task| match comes_after_nothing {
            true => task.state != TaskState::Cancelled,
            false => !is_true_end(promise, task),
        });
        missed
            .map(|task| {
                let Task { id, state, cause, message, .. } = task;
                let plan = promise.plan;
                wrong(format!("task {id} of job {}, {plan:?}, ended as {state} {cause:?} {message}", promise.job))
            })
            .collect()
    }

    fn has_succeeded(&self, job: JobId) -> bool {
        let mut states = self.tasks.iter().filter(|task| task.job == job).map(|task| task.state).peekable();
        // One that was withdrawn before it was decided on has none.
        states.peek().is_some() && states.all(|state| state == TaskState::Succeeded)
    }

    /// Tasks with more than one result that was accepted, or with one of an attempt that was not: doubles.
    pub fn doubles(&self) -> Vec<Wrong> {
        let mut succeeded: BTreeMap<TaskId, Vec<AttemptNumber>> = BTreeMap::new();
        for attempt in self.attempts.iter().filter(|attempt| attempt.outcome == Some(Outcome::Succeeded)) {
            succeeded.entry(attempt.task).or_default().push(attempt.number);
        }
        let twice = succeeded.iter().filter(|(_, numbers)| numbers.len() > 1);
        let twice =
            twice.map(|(task, numbers)| self.wrong(*task, format!("task {task} succeeded {} times", numbers.len())));
        let stray = self.packages.iter().filter(|package| succeeded.get(&package.task) != Some(&vec![package.attempt]));
        let stray = stray.map(|package| {
            let Package { task, attempt, .. } = package;
            self.wrong(*task, format!("a package of attempt {attempt} of task {task} was kept, which did not succeed"))
        });
        twice.chain(stray).collect()
    }

    /// Packages that say that another attempt made them than the one that they are kept for.
    pub async fn changelings(&self) -> anyhow::Result<Vec<Wrong>> {
        let mut wrongs = Vec::new();
        for package in self.packages.iter().filter(|package| !self.was_really_built(package.task)) {
            let stamp = stamp(package.task, package.attempt);
            let bytes = self.bytes(&package.digest).await?;
            if !bytes.windows(stamp.len()).any(|window| window == stamp.as_bytes()) {
                let Package { task, attempt, .. } = package;
                wrongs.push(self.wrong(*task, format!("a package of attempt {attempt} of task {task} is another's")));
            }
        }
        Ok(wrongs)
    }

    /// Attempts whose log is not there up to what was acknowledged, or is another's.
    pub async fn lost_logs(&self) -> anyhow::Result<Vec<Wrong>> {
        let mut wrongs = Vec::new();
        for attempt in &self.attempts {
            let Attempt { task, number, .. } = attempt;
            let acknowledged = self.acknowledged.logs.get(&(*task, *number)).copied().unwrap_or_default();
            let mut log = Vec::new();
            if let Some(digest) = &attempt.log {
                let packed = self.bytes(digest).await?;
                // Nothing is not even an empty one.
                if !packed.is_empty() {
                    flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut log)?;
                }
            }
            let known = log.len() as u64;
            if known < acknowledged {
                let what = format!(
                    "of attempt {number} of task {task} {acknowledged} bytes of log were acknowledged, {known} are there"
                );
                wrongs.push(self.wrong(*task, what));
            } else if !self.was_really_built(*task) && !is_log_of(&log, *task, *number) {
                wrongs.push(
                    self.wrong(*task, format!("the log of attempt {number} of task {task} is not what was said")),
                );
            }
        }
        Ok(wrongs)
    }

    /// Attempts that have not ended as their builders were told.
    pub fn lost_ends(&self) -> Vec<Wrong> {
        let mut wrongs = Vec::new();
        for (task, number) in &self.acknowledged.ends {
            let attempt = self.attempts.iter().find(|attempt| (attempt.task, attempt.number) == (*task, *number));
            let outcome = attempt.and_then(|attempt| attempt.outcome);
            if !matches!(outcome, Some(Outcome::Succeeded | Outcome::Failed | Outcome::FarmFault)) {
                let what =
                    format!("the end of attempt {number} of task {task} was acknowledged, and it is {outcome:?}");
                wrongs.push(self.wrong(*task, what));
            }
        }
        wrongs
    }

    /// Attempts that were lost, by what is held against their builders, though nothing happened to these.
    pub fn groundless_losses(&self) -> Vec<Wrong> {
        let is_groundless = |attempt: &&Attempt| {
            let (began, ended) = (attempt.began, attempt.ended.unwrap_or(attempt.began));
            attempt.outcome == Some(Outcome::Lost)
                && !attempt.is_blameless
                && !self.strikes.iter().any(|strike| strike.excuses(&attempt.builder, began, ended))
        };
        let groundless = self.attempts.iter().filter(is_groundless);
        groundless
            .map(|attempt| {
                let Attempt { task, number, builder, .. } = attempt;
                self.wrong(
                    *task,
                    format!("attempt {number} of task {task} was lost, and nothing had happened to {builder}"),
                )
            })
            .collect()
    }

    /// Attempts that are the farm's fault though nobody planned that.
    pub fn unplanned_faults(&self) -> Vec<Wrong> {
        let unplanned = |attempt: &&Attempt| attempt.outcome == Some(Outcome::FarmFault) && attempt.message != SPOILT;
        let faults = self.attempts.iter().filter(unplanned);
        faults
            .map(|attempt| {
                let Attempt { task, number, message, builder, .. } = attempt;
                self.wrong(
                    *task,
                    format!("attempt {number} of task {task} on {builder} is a fault of the farm: {message}"),
                )
            })
            .collect()
    }

    /// Those of a blob; none, where it is gone, which is told by who looks at the store.
    async fn bytes(&self, digest: &farm_types::Digest) -> anyhow::Result<Vec<u8>> {
        let blob = match self.store.get(digest).await {
            Err(StoreError::NotFound(_)) => return Ok(Vec::new()),
            blob => blob?.stream(),
        };
        Ok(blob
            .try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await?)
    }

    /// Whether a builder with chroots had a hand in it.
    fn was_really_built(&self, task: TaskId) -> bool {
        self.attempts.iter().any(|attempt| attempt.task == task && attempt.builder.starts_with('r'))
    }

    fn wrong(&self, task: TaskId, what: String) -> Wrong {
        let job = self.tasks.iter().find(|known| known.id == task).map(|task| task.job);
        Wrong { job, what }
    }
}

fn is_true_end(promise: &Promise, task: &Task) -> bool {
    if promise.cancelled && task.state == TaskState::Cancelled {
        return true;
    }
    match promise.plan {
        plan if plan.builds() => task.state == TaskState::Succeeded,
        Plan::Fails => task.state == TaskState::Failed && task.cause == Some(Cause::Build),
        Plan::Broken => task.state == TaskState::Failed && task.message.starts_with("given up after three attempts"),
        _ => false,
    }
}

/// Whether a log is what an attempt has said, as far as it goes.
fn is_log_of(log: &[u8], task: TaskId, attempt: AttemptNumber) -> bool {
    log.chunks(LINE)
        .enumerate()
        .all(|(number, line)| log_line(task, attempt, number as u64).as_bytes().starts_with(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_known_by_its_lines_even_if_it_breaks_off() {
        let (task, attempt) = (TaskId(3), AttemptNumber(2));
        let whole: String = (0..5).map(|number| log_line(task, attempt, number)).collect();
        assert!(is_log_of(whole.as_bytes(), task, attempt));
        assert!(is_log_of(&whole.as_bytes()[..150], task, attempt));
        assert!(!is_log_of(&whole.as_bytes()[LINE..], task, attempt));
        assert!(!is_log_of(whole.as_bytes(), task, AttemptNumber(1)));
    }
}
