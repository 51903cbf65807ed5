//! `farm-admin after-restore`.

use clap::Args;
use farm_db::restore;

use super::{connect, operator_account};
use crate::{farm::FarmArgs, output};

const EXAMPLES: &str = "\
To be called once after the database was restored to an earlier state, with all daemons stopped:

  farm-admin after-restore
  (start the daemons)
  farm-admin check --store --requeue";

/// Make a database fit to work that was restored to an earlier state
///
/// Ends all leases, so that nothing is taken from builds that were begun after that state; leaves out the numbers of jobs that people
/// may have seen since; ends sessions and logins. Tokens that were made by hand stay: look through them, some may have been revoked.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AfterRestoreArgs {
    /// How many numbers of jobs are left out: more than were handed in after the state that was restored
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    skip: i64,
}

pub(crate) fn run(farm: &FarmArgs, args: &AfterRestoreArgs) -> anyhow::Result<()> {
    let done = restore::after_restore(&mut connect(farm)?, &operator_account(), args.skip)?;
    if farm.json {
        return output::json(&done);
    }
    println!("the database is in its state of {}", output::time(done.state_of));
    println!("leases that ended: {}; sessions and logins that ended: {}", done.leases, done.logins);
    println!("the next job is {}: jobs {} and after it are lost, if there were any", done.jobs_before, done.jobs_from);
    println!("now look through `farm-admin token list`, start the daemons, and call `farm-admin check --store`");
    Ok(())
}
