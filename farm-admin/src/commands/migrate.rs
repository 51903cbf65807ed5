//! `farm-admin migrate`.

use clap::Args;

use super::connect;
use crate::{farm::FarmArgs, output};

#[derive(Args)]
pub(crate) struct MigrateArgs {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(farm: &FarmArgs, args: &MigrateArgs) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    let done = if args.dry_run { farm_db::migrate::pending(&mut conn)? } else { farm_db::migrate::up(&mut conn)? };
    if farm.json {
        return output::json(&done);
    }
    let verb = if args.dry_run { "to apply" } else { "applied" };
    match done.len() {
        0 => println!("the schema is up to date"),
        n => println!("{n} {verb}: {}", done.join(", ")),
    }
    Ok(())
}
