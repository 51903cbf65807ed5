//! `farm-admin check`.

mod store;

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use farm_db::{PgConnection, chores, database, invariants};
use jiff::Timestamp;

use super::connect;
use crate::{farm::FarmArgs, output};

const EXAMPLES: &str = "\
Exit code 1: something contradicts something else, or is missing from the store.

Examples:
  farm-admin check
  farm-admin check --store             # after a restore, or when the store lost something
  farm-admin check --store --requeue   # and build again what can be built again";

/// Ask the database whether everything in it fits together; with --store, whether the store has all of its files
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Compare the store with the database, and list what is missing by job
    #[arg(long)]
    store: bool,
    /// Build again what is missing and can be built again, and forget what nothing brings back
    #[arg(long, requires = "store")]
    requeue: bool,
    /// The janitor's configuration, which says where the store is [default: that of the farm in the data folder, else
    /// /etc/farm/farm-janitor.toml]
    #[arg(long, value_name = "FILE", requires = "store")]
    config: Option<PathBuf>,
}

/// Chores are done every few seconds; when none was begun for so long, nobody is there to do them.
const NO_JANITOR_SECONDS: i64 = 600;
/// So often a chore may fail in a row before somebody has to look: the database may have been away for a moment.
const FAILURES: i32 = 3;

pub(crate) fn run(farm: &FarmArgs, args: &CheckArgs) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    if args.store {
        return store::run(farm, &mut conn, args.config.as_ref(), args.requeue);
    }
    let breaches = invariants::check(&mut conn)?;
    if farm.json {
        output::json(&breaches)?;
    } else {
        breaches.iter().for_each(|breach| println!("{breach}"));
        if breaches.is_empty() {
            println!("all {} rules hold", invariants::INVARIANTS.len());
        }
        alarms(&mut conn)?.iter().for_each(|alarm| println!("look at this: {alarm}"));
    }
    match breaches.len() {
        0 => Ok(()),
        1 => bail!("one thing in the database contradicts another: keep a copy of it, and report this"),
        n => bail!("{n} things in the database contradict others: keep a copy of it, and report this"),
    }
}

/// What is no contradiction, but somebody has to look at.
fn alarms(conn: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let mut alarms = database::look(conn)?.alarms();
    let states = chores::states(conn)?;
    if let Some(last) = states.iter().map(|state| state.began_at).max()
        && Timestamp::now().duration_since(last).as_secs() > NO_JANITOR_SECONDS
    {
        alarms.push(format!("no janitor has done anything since {}: is one running?", output::time(last)));
    }
    for state in states {
        if state.failures >= FAILURES {
            let error = state.error.unwrap_or_default();
            alarms.push(format!("the chore {} failed {} times in a row: {error}", state.name, state.failures));
        }
        // These two were asked for just now.
        if !["database", "invariants"].contains(&state.name.as_str()) {
            alarms.extend(state.alarms);
        }
    }
    Ok(alarms)
}
