//! `farm why`: why a task is where it is.

use anstyle::Style;
use farm_api::{
    client::PeopleClient,
    people::{Task, Why},
};

use crate::{
    cli::WhyArgs,
    exit::{Exit, Failure},
    output::Output,
    show::{BOLD, Table, outcome_style, shown, task_state},
};

/// Asks about each task that is meant; of a whole job, about those that have not ended, or else about all.
pub async fn run(args: &WhyArgs, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    let job = client.job(args.task.job).await?;
    let all = args.task.all(&job)?;
    let open: Vec<&Task> = all.iter().copied().filter(|task| !task.state.is_final()).collect();
    let mut answers = Vec::new();
    for task in if open.is_empty() { all } else { open } {
        answers.push((task, client.why(task.id).await?));
    }
    let document: Vec<&Why> = answers.iter().map(|(_, why)| why).collect();
    output.either(&document, || match &answers[..] {
        [] => format!("Job {} is {}: it has no tasks; see `farm show {}`.\n", job.id, job.progress, job.id),
        answers => answers.iter().map(|(task, why)| text(task, why)).collect::<Vec<_>>().join("\n"),
    })?;
    Ok(Exit::Done)
}

fn text(task: &Task, why: &Why) -> String {
    let (style, state) = task_state(why.state);
    let mut text = format!("{BOLD}{}:{}{BOLD:#}  {style}{state}{style:#}\n", task.job, task.platform);
    text += &format!("  {}\n", shown(why.headline()));
    let remedy = format!("what can be done: {}", why.reason.remedy());
    for line in [why.line(), why.expected.as_ref().map(ToString::to_string), Some(remedy)].into_iter().flatten() {
        text += &format!("  {}\n", shown(&line));
    }
    if !why.builders.is_empty() {
        let mut table = Table::new(["  BUILDER", "COULD TAKE IT", "REASON"]);
        for verdict in &why.builders {
            let could = if verdict.could_take_it { "yes" } else { "no" };
            let plain = |text: String| (Style::new(), text);
            table.styled([
                plain(format!("  {}", verdict.builder)),
                (outcome_style(verdict.could_take_it), could.to_owned()),
                plain(verdict.summary.clone()),
            ]);
        }
        text += &table.render();
    }
    text
}
