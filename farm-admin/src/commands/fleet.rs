//! `farm-admin builder allow`, `fleets` and `disallow`: builders that register themselves.

use clap::Args;
use farm_db::{
    PgConnection,
    fleets::{self, Fleet, FleetState},
};
use farm_types::{FleetName, PlatformName};

use super::operator_account;
use crate::{farm::FarmArgs, output};

#[derive(Args)]
pub(crate) struct AllowArgs {
    /// What these builders are called together
    fleet: FleetName,
    /// Their principals, as in builder/*.fleet.example.org@EXAMPLE.ORG: a star stands for a part of one label of the host. What the
    /// host is called, such a builder is called
    #[arg(long, value_name = "PATTERN")]
    principals: String,
    /// What they may serve [default: every platform of their architectures]
    #[arg(long, value_delimiter = ',')]
    platforms: Option<Vec<PlatformName>>,
    /// How many slots each has at most
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    slots: u32,
    /// How many there may be at a time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    builders: u32,
}

pub(crate) fn allow(conn: &mut PgConnection, args: AllowArgs) -> anyhow::Result<()> {
    let AllowArgs { fleet, principals, platforms, slots, builders } = args;
    let fleet = Fleet { name: fleet, principals, platforms, slots, builders };
    fleets::allow_builders(conn, &operator_account(), &fleet)?;
    println!("builders that come as {} register themselves, at most {builders} at a time", fleet.principals);
    Ok(())
}

pub(crate) fn disallow(conn: &mut PgConnection, fleet: &FleetName) -> anyhow::Result<()> {
    match fleets::disallow_builders(conn, &operator_account(), fleet)? {
        0 => println!("nobody registers as one of {fleet} any more"),
        left => {
            println!("nobody registers as one of {fleet} any more; {left} finish what they have and are given no more")
        }
    }
    Ok(())
}

pub(crate) fn list(farm: &FarmArgs, conn: &mut PgConnection) -> anyhow::Result<()> {
    let fleets = fleets::fleets(conn)?;
    if farm.json {
        return output::json(&fleets);
    }
    let header = ["FLEET", "PRINCIPALS", "MAY SERVE", "SLOTS EACH", "BUILDERS"];
    output::table(&header, &fleets.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn row(FleetState { fleet, present }: &FleetState) -> Vec<String> {
    vec![
        fleet.name.to_string(),
        fleet.principals.clone(),
        fleet.platforms.as_deref().map(output::list).unwrap_or_default(),
        fleet.slots.to_string(),
        format!("{present}/{}", fleet.builders),
    ]
}
