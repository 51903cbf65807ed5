//! `farm-admin user build-limit`.

use clap::{ArgGroup, Args};
use farm_api::limits::Limits;
use farm_db::{PgConnection, operator};
use farm_types::Size;

use super::{operator_account, who};
use crate::{farm::FarmArgs, output};

/// Whose bounds, and which are set; without any they are only shown.
#[derive(Args)]
#[command(group = ArgGroup::new("whose").required(true).args(["principal", "everybody"]))]
pub(crate) struct BuildLimitArgs {
    /// A person, as in alice@EXAMPLE.ORG
    #[arg(value_parser = who::principal)]
    principal: Option<String>,
    /// What holds where nothing was set for the person
    #[arg(long)]
    everybody: bool,
    /// Such as time=2h, silence=30m, memory=4G, processes=500, disk=20G, files=100000, log=100M, results-size=1G, results=100
    #[arg(short = 'l', long = "limit", value_name = "WHAT=AMOUNT", value_parser = bound)]
    bounds: Vec<Bound>,
    /// Forget what was set before: what is not named here is not bounded, or as for everybody
    #[arg(long)]
    reset: bool,
}

/// A bound as it was written, known to be one.
#[derive(Clone)]
struct Bound(String);

fn bound(text: &str) -> Result<Bound, String> {
    let mut limits = Limits::default();
    limits.set(text)?;
    match limits.problems().into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(Bound(text.to_owned())),
    }
}

pub(crate) fn run(farm: &FarmArgs, conn: &mut PgConnection, args: &BuildLimitArgs) -> anyhow::Result<()> {
    let principal = args.principal.as_deref();
    if let Some(principal) = principal {
        who::known_person(conn, principal)?;
    }
    let (_, own) = operator::build_limits(conn, principal)?;
    let mut limits = if args.reset { Limits::default() } else { own };
    for Bound(text) in &args.bounds {
        limits.set(text).map_err(anyhow::Error::msg)?;
    }
    if limits != own {
        operator::put_build_limits(conn, &operator_account(), principal, &limits)?;
    }
    let (holds, own) = operator::build_limits(conn, principal)?;
    if farm.json {
        return output::json(&holds);
    }
    let rows = holds.named().into_iter().zip(own.named()).filter_map(|((name, value), (_, own))| {
        let value = value?;
        let shown = if name.ends_with("_bytes") { Size(value).to_string() } else { value.to_string() };
        let whose = if own.is_some() && principal.is_some() { "this person" } else { "everybody" };
        Some(vec![name.to_owned(), shown, whose.to_owned()])
    });
    output::table(&["LIMIT OF A BUILD", "AT MOST", "SET FOR"], &rows.collect::<Vec<_>>());
    Ok(())
}
