//! `farm-admin group`.

use anyhow::bail;
use clap::{Args, Subcommand};
use farm_api::access::Group;
use farm_db::{PgConnection, operator};
use farm_types::GroupName;

use super::{
    connect, operator_account,
    share::{self, ShareArgs},
    who,
};
use crate::{farm::FarmArgs, output};

#[derive(Subcommand)]
pub(crate) enum GroupCommand {
    /// List all groups and who is in them
    List,
    /// Make a group, or describe a known one anew
    Add {
        group: GroupName,
        /// One line for people
        #[arg(long)]
        description: Option<String>,
    },
    /// Remove a group, and with it the rights that were given to it
    Remove { group: GroupName },
    /// Put persons into a group
    Join(MemberArgs),
    /// Take persons out of a group, or rules away from it
    Leave(MemberArgs),
    /// Show or set how much of a busy platform's build time each who is in a group gets, against others
    Share {
        group: GroupName,
        #[command(flatten)]
        args: ShareArgs,
    },
}

#[derive(Args)]
pub(crate) struct MemberArgs {
    group: GroupName,
    /// A principal, or a rule for principals with a star for any characters: '*/admin@EXAMPLE.ORG'
    #[arg(required = true, value_name = "MEMBER", value_parser = who::member)]
    members: Vec<String>,
}

pub(crate) fn run(farm: &FarmArgs, command: GroupCommand) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    match command {
        GroupCommand::List => list(farm, &operator::groups(&mut conn)?),
        GroupCommand::Add { group, description } => add(&mut conn, &group, description.as_deref()),
        GroupCommand::Remove { group } => remove(&mut conn, &group),
        GroupCommand::Join(args) => {
            operator::set_members(&mut conn, &operator_account(), args.group.as_str(), &args.members, true)?;
            println!("in {} now: {}", args.group, output::list(&args.members));
            Ok(())
        }
        GroupCommand::Share { group, args } => share_of(farm, &mut conn, &group, &args),
        GroupCommand::Leave(args) => {
            operator::set_members(&mut conn, &operator_account(), args.group.as_str(), &args.members, false)?;
            println!("not in {} any more: {}", args.group, output::list(&args.members));
            Ok(())
        }
    }
}

fn share_of(farm: &FarmArgs, conn: &mut PgConnection, name: &GroupName, args: &ShareArgs) -> anyhow::Result<()> {
    share::change(conn, &format!("@{name}"), args)?;
    let Some(group) = operator::groups(conn)?.into_iter().find(|group| group.name == name.as_str()) else {
        bail!("there is no group “{name}”");
    };
    if farm.json {
        return output::json(&group.share);
    }
    match group.share {
        Some(share) => println!("each who is in {name} has a share of {share}, where no greater one holds"),
        None => println!("{name} gives no share to who is in it"),
    }
    Ok(())
}

fn add(conn: &mut PgConnection, group: &GroupName, description: Option<&str>) -> anyhow::Result<()> {
    let known = operator::groups(conn)?.iter().any(|known| known.name == group.as_str());
    // What is not told does not take away what was told before.
    if known && description.is_none() {
        bail!("there is a group “{group}” already; with --description it is described anew");
    }
    operator::put_group(conn, &operator_account(), group.as_str(), description.unwrap_or_default())?;
    println!("{} {group}", if known { "changed" } else { "added" });
    Ok(())
}

fn remove(conn: &mut PgConnection, group: &GroupName) -> anyhow::Result<()> {
    let holder = format!("@{group}");
    let rights: Vec<_> =
        operator::grants(conn)?.into_iter().filter(|grant| grant.to == holder).map(|g| g.right).collect();
    operator::remove_group(conn, &operator_account(), group.as_str())?;
    println!("removed {group}");
    if !rights.is_empty() {
        println!("taken back with it: {}", output::list(&rights));
    }
    Ok(())
}

fn list(farm: &FarmArgs, groups: &[Group]) -> anyhow::Result<()> {
    if farm.json {
        return output::json(groups);
    }
    let rows: Vec<_> = groups
        .iter()
        .map(|group| {
            let everybody = [group.members.as_slice(), &group.rules].concat();
            let share = group.share.map(|share| share.to_string()).unwrap_or_default();
            vec![group.name.clone(), output::list(&everybody), share, group.description.clone()]
        })
        .collect();
    output::table(&["GROUP", "MEMBERS AND RULES", "SHARE", "DESCRIPTION"], &rows);
    Ok(())
}
