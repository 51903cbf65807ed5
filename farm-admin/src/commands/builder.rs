//! `farm-admin builder`.

use clap::Subcommand;
use farm_auth::Token;
use farm_db::{
    Viewer,
    operator::{self, NewBuilder},
    read,
};
use farm_types::{BuilderName, BuilderState, PlatformName};

use super::{connect, operator_account};
use crate::{farm::FarmArgs, output};

#[derive(Subcommand)]
pub(crate) enum BuilderCommand {
    /// Register a builder, or give a known one a new token, and print the token: once, to be put into its token file
    Add {
        /// Name of the builder, by custom its host name
        builder: BuilderName,
        /// What it may serve [default: every platform of its architectures]
        #[arg(long, value_delimiter = ',')]
        platforms: Option<Vec<PlatformName>>,
    },
    /// List all builders
    List,
    /// Give a builder tasks
    Enable { builder: BuilderName },
    /// Give a builder no tasks
    Disable {
        builder: BuilderName,
        /// Why, for its page
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a builder finish what it has and give it no more
    Drain {
        builder: BuilderName,
        /// Why, for its page
        #[arg(long)]
        reason: Option<String>,
    },
}

pub(crate) fn run(farm: &FarmArgs, command: BuilderCommand) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    let actor = operator_account();
    let (builder, state, reason) = match command {
        BuilderCommand::Add { builder, platforms } => {
            let token = Token::generate();
            let new = NewBuilder { token: Some(token.digest()), principal: None, platforms: platforms.as_deref() };
            operator::put_builder(&mut conn, &actor, &builder, &new)?;
            println!("{}", token.expose());
            return Ok(());
        }
        BuilderCommand::List => return list(farm, &read::builders(&mut conn, Viewer::ANYBODY, None)?),
        BuilderCommand::Enable { builder } => (builder, BuilderState::Enabled, None),
        BuilderCommand::Disable { builder, reason } => (builder, BuilderState::Disabled, reason),
        BuilderCommand::Drain { builder, reason } => (builder, BuilderState::Draining, reason),
    };
    operator::set_builder_state(&mut conn, &actor, &builder, state, reason.as_deref())?;
    println!("{builder} is {state}");
    Ok(())
}

fn list(farm: &FarmArgs, builders: &[farm_api::people::Builder]) -> anyhow::Result<()> {
    if farm.json {
        return output::json(builders);
    }
    let rows: Vec<_> = builders
        .iter()
        .map(|b| {
            let state = match &b.reason {
                Some(reason) => format!("{} ({reason})", b.state),
                None => b.state.to_string(),
            };
            vec![
                b.name.to_string(),
                state,
                if b.alive { "yes" } else { "no" }.to_owned(),
                format!("{}/{}", b.running.len(), b.slots),
                b.arches.join(","),
                b.version.clone().unwrap_or_default(),
                b.last_seen.map(|t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default(),
            ]
        })
        .collect();
    output::table(&["BUILDER", "STATE", "ALIVE", "BUSY", "ARCHES", "VERSION", "LAST SEEN"], &rows);
    Ok(())
}
