//! `farm-admin builder`.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use farm_auth::Token;
use farm_db::{
    Actor, PgConnection, Viewer,
    operator::{self, NewBuilder},
    read::{self, RegisteredBuilder},
};
use farm_types::{BuilderName, BuilderState, FleetName, PlatformName};

use super::{connect, fleet, operator_account, who};
use crate::{farm::FarmArgs, output};

/// How often to look whether a builder has finished.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Subcommand)]
pub(crate) enum BuilderCommand {
    /// Register a builder, or change a known one. It comes in with a token, which is printed once, to be put into its token
    /// file, or with the ticket of a principal
    Add(AddArgs),
    /// Let builders register themselves whose principals match a pattern, or change what they may
    Allow(fleet::AllowArgs),
    /// List which builders may register themselves
    Fleets,
    /// Let none of a fleet register any more; those that are there finish what they have
    Disallow { fleet: FleetName },
    /// List all builders
    List,
    /// Give a builder tasks (again), and forget what it spoilt
    #[command(visible_alias = "resume")]
    Enable { builder: BuilderName },
    /// Give a builder no tasks
    Disable {
        builder: BuilderName,
        /// Why, for its page
        #[arg(long)]
        reason: Option<String>,
    },
    /// Show or set after how many tasks in a row, spoilt by its own fault, a builder is taken out of service
    Trust {
        /// How many; 0 takes out none
        #[arg(value_parser = clap::value_parser!(u32).range(0..=100))]
        in_a_row: Option<u32>,
    },
    /// Say how many slots of a builder background tasks leave free, so that whoever comes with a build of their own finds one
    Spare {
        builder: BuilderName,
        /// How many; as many as it has: it takes no background tasks
        #[arg(value_parser = clap::value_parser!(u16).range(0..=1000))]
        slots: u16,
    },
    /// Let a builder finish what it has and give it no more
    Drain {
        builder: BuilderName,
        /// Why, for its page
        #[arg(long)]
        reason: Option<String>,
        /// Wait until it has nothing left
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Args)]
pub(crate) struct AddArgs {
    /// Name of the builder, by custom its host name
    builder: BuilderName,
    /// The principal of its ticket, as in builder/host1@EXAMPLE.ORG; then no token is made unless --token asks for one
    #[arg(long, value_parser = who::principal)]
    principal: Option<String>,
    /// Make a new token all the same; one that there was is good no longer
    #[arg(long)]
    token: bool,
    /// Make no new token; one that there is stays good
    #[arg(long, conflicts_with = "token")]
    no_token: bool,
    /// What it may serve [default: every platform of its architectures]
    #[arg(long, value_delimiter = ',')]
    platforms: Option<Vec<PlatformName>>,
}

pub(crate) fn run(farm: &FarmArgs, command: BuilderCommand) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    let actor = operator_account();
    let mut waits = false;
    let (builder, state, reason) = match command {
        BuilderCommand::Add(args) => return add(&mut conn, &actor, &args),
        BuilderCommand::Allow(args) => return fleet::allow(&mut conn, args),
        BuilderCommand::Fleets => return fleet::list(farm, &mut conn),
        BuilderCommand::Disallow { fleet } => return fleet::disallow(&mut conn, &fleet),
        BuilderCommand::Trust { in_a_row } => return trust(&mut conn, &actor, in_a_row),
        BuilderCommand::Spare { builder, slots } => return spare(&mut conn, &actor, &builder, slots),
        BuilderCommand::List => return list(farm, &read::registered_builders(&mut conn)?),
        BuilderCommand::Enable { builder } => (builder, BuilderState::Enabled, None),
        BuilderCommand::Disable { builder, reason } => (builder, BuilderState::Disabled, reason),
        BuilderCommand::Drain { builder, reason, wait } => {
            waits = wait;
            (builder, BuilderState::Draining, reason)
        }
    };
    operator::set_builder_state(&mut conn, &actor, &builder, state, reason.as_deref())?;
    println!("{builder} is {state}");
    if waits { until_it_has_nothing_left(&mut conn, &builder) } else { Ok(()) }
}

fn trust(conn: &mut PgConnection, actor: &Actor, in_a_row: Option<u32>) -> anyhow::Result<()> {
    if let Some(in_a_row) = in_a_row {
        operator::set_trust(conn, actor, in_a_row)?;
    }
    match operator::trust(conn)? {
        0 => println!("no builder is taken out of service by the farm"),
        n => println!("a builder that spoils {n} tasks in a row by its own fault is taken out of service"),
    }
    Ok(())
}

fn spare(conn: &mut PgConnection, actor: &Actor, builder: &BuilderName, slots: u16) -> anyhow::Result<()> {
    operator::set_spare_slots(conn, actor, builder, slots)?;
    match slots {
        0 => println!("background tasks may use all slots of {builder}"),
        1 => println!("background tasks leave 1 slot of {builder} free"),
        n => println!("background tasks leave {n} slots of {builder} free"),
    }
    Ok(())
}

/// Waits until a builder holds no task. (One that went away for good loses them to the janitor.)
fn until_it_has_nothing_left(conn: &mut PgConnection, name: &BuilderName) -> anyhow::Result<()> {
    let mut before = None;
    loop {
        let found = read::builders(conn, Viewer::ANYBODY, Some(name))?.pop();
        match found.map_or(0, |builder| builder.running.len()) {
            0 => break,
            left if before != Some(left) => {
                eprintln!("{name} has {left} to finish");
                before = Some(left);
            }
            _ => {}
        }
        std::thread::sleep(LOOK);
    }
    println!("{name} has nothing left");
    Ok(())
}

fn add(conn: &mut PgConnection, actor: &Actor, args: &AddArgs) -> anyhow::Result<()> {
    let AddArgs { builder, principal, .. } = args;
    let token = (args.token || (principal.is_none() && !args.no_token)).then(Token::generate);
    if token.is_none() && principal.is_none() {
        let known = read::registered_builders(conn)?.into_iter().find(|known| known.builder.name == *builder);
        if !known.is_some_and(|known| known.has_token || known.principal.is_some()) {
            bail!("{builder} could not come in: give it a token, or with --principal the principal of its ticket");
        }
    }
    let new = NewBuilder {
        token: token.as_ref().map(Token::digest),
        principal: principal.as_deref(),
        platforms: args.platforms.as_deref(),
    };
    operator::put_builder(conn, actor, builder, &new)?;
    match (token, principal) {
        (Some(token), _) => println!("{}", token.expose()),
        (None, Some(principal)) => println!("{builder} comes in as {principal}"),
        (None, None) => println!("{builder} comes in as before"),
    }
    Ok(())
}

fn list(farm: &FarmArgs, builders: &[RegisteredBuilder]) -> anyhow::Result<()> {
    if farm.json {
        return output::json(builders);
    }
    let header = [
        "BUILDER",
        "STATE",
        "ALIVE",
        "BUSY",
        "ARCHES",
        "VERSION",
        "LAST SEEN",
        "COMES IN WITH",
        "FROM",
        "FLEET",
        "MAY SERVE",
    ];
    output::table(&header, &builders.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn row(registered: &RegisteredBuilder) -> Vec<String> {
    let b = &registered.builder;
    let state = match (&b.reason, &b.takes_nothing) {
        (Some(reason), _) => format!("{} ({reason})", b.state),
        (None, Some(why)) => format!("{}, takes nothing ({why})", b.state),
        (None, None) => b.state.to_string(),
    };
    let ways: Vec<_> =
        registered.has_token.then(|| "token".to_owned()).into_iter().chain(registered.principal.clone()).collect();
    let spare = if b.spare_slots > 0 { format!(" ({} spare)", b.spare_slots) } else { String::new() };
    vec![
        b.name.to_string(),
        state,
        output::yes(b.alive),
        format!("{}/{}{spare}", b.used, b.slots),
        b.arches.join(","),
        b.version.clone().unwrap_or_default(),
        b.last_seen.map(output::time).unwrap_or_default(),
        output::list(&ways),
        registered.address.clone().unwrap_or_default(),
        registered.fleet.as_ref().map(ToString::to_string).unwrap_or_default(),
        registered.platforms.as_deref().map(output::list).unwrap_or_default(),
    ]
}
