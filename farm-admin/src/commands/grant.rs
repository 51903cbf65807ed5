//! `farm-admin grant`.

use clap::{Args, Subcommand};
use farm_api::access::GrantInfo;
use farm_db::operator;
use farm_types::Grant;

use super::{connect, operator_account, who};
use crate::{farm::FarmArgs, output};

const RIGHTS: &str = "\
Rights:
  submit:BUCKET   hand in jobs whose results go to a bucket
  see:BUCKET      see what is in a bucket that is not public
  own:BUCKET      both, and cancel and retry whatever is in it
  build:PLATFORM  build on a platform
  class:CLASS     hand in jobs of a class: urgent, normal, background
  network         let builds use the network, where the platform allows it
  define          define macros and set build conditions for one's builds
  external        let builds install from repositories that are not the farm's
  change          cancel and retry the jobs of others
  builders, platforms, buckets   administer these
  admin           everything
A star stands for all: build:*

Examples:
  farm-admin grant add submit:updates @packagers
  farm-admin grant add admin alice/admin@EXAMPLE.ORG
  farm-admin grant remove submit:scratch everyone";

#[derive(Subcommand)]
pub(crate) enum GrantCommand {
    /// List who was given which right
    List,
    /// Give a right
    #[command(after_help = RIGHTS)]
    Add(GrantArgs),
    /// Take a right back; whoever has it by another way as well keeps it
    #[command(after_help = RIGHTS)]
    Remove(GrantArgs),
}

#[derive(Args)]
pub(crate) struct GrantArgs {
    /// What for: submit:scratch, build:*, admin
    right: Grant,
    /// Who: a principal, a group as in @packagers, or everyone
    #[arg(value_parser = who::holder)]
    who: String,
}

pub(crate) fn run(farm: &FarmArgs, command: GrantCommand) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    let actor = operator_account();
    match command {
        GrantCommand::List => list(farm, &operator::grants(&mut conn)?)?,
        GrantCommand::Add(GrantArgs { right, who }) => {
            operator::set_grant(&mut conn, &actor, &right, &who, true)?;
            println!("{who} has {right}");
        }
        GrantCommand::Remove(GrantArgs { right, who }) => {
            operator::set_grant(&mut conn, &actor, &right, &who, false)?;
            println!("{right} was taken back from {who}");
        }
    }
    Ok(())
}

fn list(farm: &FarmArgs, grants: &[GrantInfo]) -> anyhow::Result<()> {
    if farm.json {
        return output::json(grants);
    }
    let row = |grant: &GrantInfo| vec![grant.right.clone(), grant.to.clone(), output::time(grant.since)];
    output::table(&["RIGHT", "WHO", "SINCE"], &grants.iter().map(row).collect::<Vec<_>>());
    Ok(())
}
