//! `farm-admin janitor`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, builder::PossibleValuesParser};
use farm_db::chores::{self, ChoreState};
use farm_janitor::{
    Config,
    chores::{CHORES, Chore, Tools, find},
    run_chore,
};
use serde_json::json;

use super::{connect, janitor_config};
use crate::{farm::FarmArgs, output};

const EXAMPLES: &str = "\
Without --once it lists the chores, when each was done last, and what came of it.

Examples:
  farm-admin janitor
  farm-admin janitor --once retention --dry-run
  farm-admin janitor --once blobs";

/// List the chores of the janitor, or do one now
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct JanitorArgs {
    /// Do this chore now, whenever it was done last
    #[arg(long, value_name = "CHORE", value_parser = PossibleValuesParser::new(CHORES.iter().map(|chore| chore.name)))]
    once: Option<String>,
    /// Only say what it would do
    #[arg(long, requires = "once")]
    dry_run: bool,
    /// The janitor's configuration [default: that of the farm in the data folder, else /etc/farm/farm-janitor.toml]
    #[arg(long, value_name = "FILE", requires = "once")]
    config: Option<PathBuf>,
}

pub(crate) fn run(farm: &FarmArgs, args: &JanitorArgs) -> anyhow::Result<()> {
    let Some(name) = &args.once else { return list(farm, &chores::states(&mut connect(farm)?)?) };
    let chore = find(name).with_context(|| format!("there is no chore {name}"))?;
    let file = match &args.config {
        Some(file) => file.clone(),
        None => janitor_config(farm)?,
    };
    let config: Config = farm_daemon::load(&file)?;
    // Before the first thread.
    let _tickets = config.kerberos.apply("farm-janitor")?;
    farm_daemon::log_to_stderr("warn", farm_daemon::LogFormat::Text)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(once(farm, chore, args.dry_run, &config))
}

async fn once(farm: &FarmArgs, chore: &'static Chore, dry_run: bool, config: &Config) -> anyhow::Result<()> {
    let tools = Tools::open(config)?;
    if dry_run {
        let Some(preview) = chore.preview else {
            bail!("what the chore {} would do cannot be said without doing it; leave --dry-run out", chore.name);
        };
        let lines = preview(tools).await?;
        if farm.json {
            return output::json(&json!({ "chore": chore.name, "would": lines }));
        }
        lines.iter().for_each(|line| println!("{line}"));
        if lines.is_empty() {
            println!("nothing");
        }
        return Ok(());
    }
    let Some(report) = run_chore(chore, &tools).await? else {
        bail!("a janitor is at the chore {} in this moment; try again when it is done", chore.name);
    };
    if farm.json {
        let document =
            json!({ "chore": chore.name, "done": report.done, "more": report.more, "alarms": report.alarms });
        return output::json(&document);
    }
    report.alarms.iter().for_each(|alarm| println!("{alarm}"));
    println!("{}: dealt with {}{}", chore.name, report.done, if report.more { ", and there is more" } else { "" });
    Ok(())
}

fn list(farm: &FarmArgs, states: &[ChoreState]) -> anyhow::Result<()> {
    let known = |chore: &Chore| states.iter().find(|state| state.name == chore.name);
    if farm.json {
        let all: Vec<_> = CHORES
            .iter()
            .map(|chore| json!({ "chore": chore.name, "what": chore.what, "preview": chore.preview.is_some(), "last": known(chore) }))
            .collect();
        return output::json(&all);
    }
    let rows: Vec<_> = CHORES.iter().map(|chore| row(chore, known(chore))).collect();
    output::table(&["CHORE", "LAST DONE", "TOOK", "DEALT WITH", "EVER", "STANDS", "WHAT IT DOES"], &rows);
    for state in states {
        state.alarms.iter().for_each(|alarm| eprintln!("{}: {alarm}", state.name));
    }
    Ok(())
}

fn row(chore: &Chore, state: Option<&ChoreState>) -> Vec<String> {
    let Some(state) = state else {
        let mut row = vec![chore.name.to_owned(), "never".to_owned()];
        row.extend(std::iter::repeat_n(String::new(), 4));
        row.push(chore.what.to_owned());
        return row;
    };
    let stands = match (&state.error, state.running, state.alarms.len()) {
        (Some(error), _, _) => format!("failed {} times: {error}", state.failures),
        (None, true, _) => "at it".to_owned(),
        (None, false, 0) => "well".to_owned(),
        (None, false, 1) => "1 alarm".to_owned(),
        (None, false, n) => format!("{n} alarms"),
    };
    vec![
        chore.name.to_owned(),
        state.ended_at.map_or_else(|| "never".to_owned(), output::time),
        state.seconds.map(|seconds| format!("{seconds:.2} s")).unwrap_or_default(),
        state.done.to_string(),
        state.total.to_string(),
        stands,
        chore.what.to_owned(),
    ]
}
