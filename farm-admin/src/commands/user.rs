//! `farm-admin user`.

use anyhow::bail;
use clap::Subcommand;
use farm_api::access::Person;
use farm_db::operator;

use super::{
    build_limit::{self, BuildLimitArgs},
    connect,
    limit::{self, LimitArgs},
    operator_account,
    share::{self, ShareArgs},
    who,
};
use crate::{farm::FarmArgs, output};

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// List everybody whose name is known, with the limits and the share that hold; those set for one person have a star
    List,
    /// Make a name known before that person comes, so that rights and limits can be set
    Add {
        /// As in alice@EXAMPLE.ORG
        #[arg(value_parser = who::principal)]
        principal: String,
    },
    /// Let a person in again
    Enable {
        #[arg(value_parser = who::principal)]
        principal: String,
    },
    /// Shut a person out, at once and whatever that person comes with; jobs that were handed in go on
    Disable {
        #[arg(value_parser = who::principal)]
        principal: String,
    },
    /// Show or set what a person, or everybody, may use up
    Limit(LimitArgs),
    /// Show or set what each build of a person, or of everybody, may use up
    BuildLimit(BuildLimitArgs),
    /// Show or set how much of a busy platform's build time a person gets, against others
    Share {
        #[arg(value_parser = who::principal)]
        principal: String,
        #[command(flatten)]
        args: ShareArgs,
    },
}

pub(crate) fn run(farm: &FarmArgs, command: UserCommand) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    let actor = operator_account();
    match command {
        UserCommand::List => list(farm, &operator::persons(&mut conn)?)?,
        UserCommand::Limit(args) => limit::run(farm, &mut conn, &args)?,
        UserCommand::BuildLimit(args) => build_limit::run(farm, &mut conn, &args)?,
        UserCommand::Share { principal, args } => {
            who::known_person(&mut conn, &principal)?;
            share::change(&mut conn, &principal, &args)?;
            show_share(farm, &who::known_person(&mut conn, &principal)?)?;
        }
        UserCommand::Add { principal } => match operator::person(&mut conn, &principal)? {
            Some(known) if !known.enabled => {
                bail!("{principal} was shut out; `farm-admin user enable {principal}` lets that person in again")
            }
            Some(_) => println!("{principal} is known already"),
            None => {
                operator::put_person(&mut conn, &actor, &principal, true)?;
                println!("{principal} is known");
            }
        },
        UserCommand::Enable { principal } => {
            who::known_person(&mut conn, &principal)?;
            operator::put_person(&mut conn, &actor, &principal, true)?;
            println!("{principal} is let in");
        }
        UserCommand::Disable { principal } => {
            who::known_person(&mut conn, &principal)?;
            operator::put_person(&mut conn, &actor, &principal, false)?;
            println!("{principal} is shut out");
        }
    }
    Ok(())
}

fn show_share(farm: &FarmArgs, person: &Person) -> anyhow::Result<()> {
    if farm.json {
        return output::json(&person.share);
    }
    let set = if person.own_share.is_some() { "set for this person" } else { "of the groups, or 1" };
    println!("{} has a share of {} ({set})", person.principal, person.share);
    Ok(())
}

fn list(farm: &FarmArgs, persons: &[Person]) -> anyhow::Result<()> {
    if farm.json {
        return output::json(persons);
    }
    let rows: Vec<_> = persons
        .iter()
        .map(|person| {
            let limits = limit::named(&person.limits).into_iter().zip(limit::named(&person.own_limits));
            let limits = limits.map(|((_, value), (_, own))| value + if own.is_empty() { "" } else { "*" });
            let mut row = vec![person.principal.clone(), output::yes(person.enabled), person.jobs.to_string()];
            row.extend(limits);
            row.push(person.share.to_string() + if person.own_share.is_some() { "*" } else { "" });
            row.push(output::time(person.created));
            row
        })
        .collect();
    let header =
        ["PRINCIPAL", "ENABLED", "JOBS", "JOBS_WAITING", "UPLOADS", "BYTES", "SOURCES", "SHARE", "KNOWN SINCE"];
    output::table(&header, &rows);
    Ok(())
}
