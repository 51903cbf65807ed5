//! `farm-admin set-aside`.

use clap::{Args, Subcommand};
use farm_api::people::Task;
use farm_db::{Viewer, operator, read};
use farm_types::TaskId;

use super::{connect, operator_account};
use crate::{farm::FarmArgs, output};

const EXAMPLES: &str = "\
A task during whose attempts three builders were lost is set aside: a retry by its owner does not build it again.
Without a command it lists them, with how each builder was lost.

Examples:
  farm-admin set-aside
  farm-admin set-aside put-back 42";

/// List the tasks that took builders with them, or have one built again
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SetAsideArgs {
    #[command(subcommand)]
    command: Option<SetAsideCommand>,
}

#[derive(Subcommand)]
enum SetAsideCommand {
    /// Have a task built again that was set aside
    PutBack {
        /// Number of the task
        task: TaskId,
    },
}

pub(crate) fn run(farm: &FarmArgs, args: SetAsideArgs) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    match args.command {
        // An operator sees everything.
        None => list(farm, &read::set_aside(&mut conn, Viewer::ANYBODY)?),
        Some(SetAsideCommand::PutBack { task }) => {
            operator::put_back(&mut conn, &operator_account(), task)?;
            println!("task {task} is built again");
            Ok(())
        }
    }
}

fn list(farm: &FarmArgs, tasks: &[Task]) -> anyhow::Result<()> {
    if farm.json {
        return output::json(tasks);
    }
    let row = |task: &Task| {
        vec![
            task.id.to_string(),
            task.job.to_string(),
            task.platform.to_string(),
            task.set_aside.map(output::time).unwrap_or_default(),
            task.message.clone().unwrap_or_default(),
        ]
    };
    output::table(&["TASK", "JOB", "PLATFORM", "SINCE", "WHY"], &tasks.iter().map(row).collect::<Vec<_>>());
    Ok(())
}
