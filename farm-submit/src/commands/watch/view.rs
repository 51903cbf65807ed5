//! What is seen of a job while it goes on: lines that are redrawn, one line per change, or nothing.

use std::{collections::HashMap, time::Duration};

use anstream::{AutoStream, ColorChoice, adapter::strip_str};
use farm_api::{
    client::{ClientError, PeopleClient},
    people::{Job, Task},
};
use farm_types::{BuilderName, Progress, Stage, TaskId, TaskState};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;

use crate::{
    exit::Failure,
    output::{Output, aside, warn},
    show::{
        job::{details, results, task_line, widest},
        progress, shown, task_state,
    },
};

/// How a job is shown while it goes on.
#[derive(Debug)]
pub enum View {
    /// For a person at a terminal: one line per platform, redrawn.
    Live(Live),
    /// For a log: one line per change.
    Lines(Lines),
    /// Nothing before the end.
    Quiet,
}

/// One line per platform, redrawn.
#[derive(Debug, Default)]
pub struct Live {
    screen: MultiProgress,
    head: Option<ProgressBar>,
    tasks: HashMap<TaskId, ProgressBar>,
}

/// One line per change.
#[derive(Debug, Default)]
pub struct Lines {
    progress: Option<Progress>,
    tasks: HashMap<TaskId, Shape>,
    away: bool,
}

/// What of a task is worth a new line when it changes.
type Shape = (TaskState, Option<Stage>, Option<BuilderName>);

impl View {
    /// The view that fits.
    pub fn new(output: &Output, quiet: bool) -> Self {
        match (quiet, output.live) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Live(Live::default()),
            (false, false) => Self::Lines(Lines::default()),
        }
    }

    /// The job has changed.
    pub fn job(
        &mut self,
        job: &Job,
        client: &PeopleClient,
        output: &mut Output,
        now: Timestamp,
    ) -> Result<(), Failure> {
        match self {
            Self::Live(live) => live.draw(job, now),
            Self::Lines(lines) => return lines.changes(job, client, output, now),
            Self::Quiet => {}
        }
        Ok(())
    }

    /// Time has passed.
    pub fn redraw(&mut self, job: &Job, now: Timestamp) {
        if let Self::Live(live) = self {
            live.draw(job, now);
        }
    }

    /// There is something to mind.
    pub fn warn(&self, text: &str) {
        match self {
            Self::Live(live) => live.screen.suspend(|| warn(text)),
            _ => warn(text),
        }
    }

    /// The server does not answer.
    pub fn away(&mut self, error: &ClientError) {
        let text = format!("{}; trying again", shown(&error.to_string()));
        match self {
            Self::Live(live) => live.say(&text),
            Self::Lines(lines) if !lines.away => {
                lines.away = true;
                aside(&text);
            }
            _ => {}
        }
    }

    /// Leaves the screen as it was.
    pub fn close(&mut self) {
        if let Self::Live(live) = self {
            live.tasks.values().chain(&live.head).for_each(ProgressBar::finish_and_clear);
        }
    }

    /// What remains to be told of a job that has ended.
    pub fn conclusion(&self, job: &Job, client: &PeopleClient, now: Timestamp) -> String {
        let all = results(job, client, now);
        match self {
            // The results were told as they came.
            Self::Lines(_) => all.lines().last().map(|sum| format!("{sum}\n")).unwrap_or_default(),
            _ => all,
        }
    }
}

impl Live {
    fn draw(&mut self, job: &Job, now: Timestamp) {
        let (style, state) = progress(job.progress);
        let text = match job.progress {
            Progress::Submitted => "submitted: waiting for a validator".to_owned(),
            _ => format!("{style}{state}{style:#}: {} of {} built", job.succeeded, job.total),
        };
        self.say(&format!("Job {} {text}", job.id));
        let width = widest(job);
        for task in &job.tasks {
            let screen = &self.screen;
            let line = self.tasks.entry(task.id).or_insert_with(|| screen.add(line("  {wide_msg}")));
            let (style, state) = task_state(task.state);
            let details = details(task, now);
            line.set_message(coloured(format!("{:<width$}  {style}{state:<9}{style:#}{details}", task.platform)));
        }
    }

    fn say(&mut self, text: &str) {
        let head = self.head.get_or_insert_with(|| {
            let head = self.screen.insert(0, line("{spinner} {wide_msg}"));
            head.enable_steady_tick(Duration::from_millis(120));
            head
        });
        head.set_message(coloured(text.to_owned()));
    }
}

/// Colours only where stderr takes them: what draws the lines passes on whatever it is given.
fn coloured(text: String) -> String {
    match AutoStream::choice(&std::io::stderr()) {
        ColorChoice::Never => strip_str(&text).to_string(),
        _ => text,
    }
}

fn line(template: &str) -> ProgressBar {
    // The templates are constant; were one wrong, a plain spinner would do.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

impl Lines {
    fn changes(
        &mut self,
        job: &Job,
        client: &PeopleClient,
        output: &mut Output,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if std::mem::take(&mut self.away) {
            aside("the farm answers again");
        }
        if self.progress.replace(job.progress) != Some(job.progress) && job.progress == Progress::Submitted {
            output.note(&format!("Job {} waits for a validator", job.id))?;
        }
        let width = widest(job);
        for task in &job.tasks {
            let shape = shape(task);
            if self.tasks.insert(task.id, shape.clone()) != Some(shape) {
                output.note(task_line(task, client, now, width).trim_end())?;
            }
        }
        Ok(())
    }
}

fn shape(task: &Task) -> Shape {
    match task.state {
        // Of a task that has ended only the end matters, not what was noted of its last stage.
        TaskState::Leased => (task.state, task.stage, task.builder.clone()),
        state => (state, None, None),
    }
}
