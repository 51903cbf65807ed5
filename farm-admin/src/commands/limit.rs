//! `farm-admin user limit`.

use clap::{ArgGroup, Args, value_parser};
use farm_api::access::Limits;
use farm_db::{PgConnection, operator};
use farm_types::Size;

use super::{operator_account, who};
use crate::{farm::FarmArgs, output};

const MOST: i64 = i32::MAX as i64;

/// Whose limits, and which are set; without any they are only shown.
#[derive(Args)]
#[command(group = ArgGroup::new("whose").required(true).args(["principal", "everybody"]))]
pub(crate) struct LimitArgs {
    /// A person, as in alice@EXAMPLE.ORG
    #[arg(value_parser = who::principal)]
    principal: Option<String>,
    /// What holds where nothing was set for the person
    #[arg(long)]
    everybody: bool,
    /// Jobs that have not ended
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(0..=MOST))]
    jobs_waiting: Option<i64>,
    /// Uploads under way
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(0..=MOST))]
    uploads: Option<i64>,
    /// Sources, results and uploads together, such as 50G
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    bytes: Option<i64>,
    /// Sources of one job
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(0..=MOST))]
    sources: Option<i64>,
    /// Forget what was set for this person before: what is not named here is everybody's again
    #[arg(long, conflicts_with = "everybody")]
    reset: bool,
}

pub(crate) fn run(farm: &FarmArgs, conn: &mut PgConnection, args: &LimitArgs) -> anyhow::Result<()> {
    let named =
        Limits { jobs_waiting: args.jobs_waiting, uploads: args.uploads, bytes: args.bytes, sources: args.sources };
    let changes = args.reset || named != Limits::default();
    let Some(principal) = &args.principal else {
        if changes {
            operator::put_limits(conn, &operator_account(), None, &named)?;
        }
        return show(farm, &operator::limits(conn)?, None);
    };
    let mut person = who::known_person(conn, principal)?;
    if changes {
        // The database takes all four at once, and a limit that is not told as one that is everybody's.
        let before = if args.reset { Limits::default() } else { person.own_limits };
        let limits = Limits {
            jobs_waiting: named.jobs_waiting.or(before.jobs_waiting),
            uploads: named.uploads.or(before.uploads),
            bytes: named.bytes.or(before.bytes),
            sources: named.sources.or(before.sources),
        };
        operator::put_limits(conn, &operator_account(), Some(principal), &limits)?;
        person = who::known_person(conn, principal)?;
    }
    show(farm, &person.limits, Some(&person.own_limits))
}

fn show(farm: &FarmArgs, limits: &Limits, own: Option<&Limits>) -> anyhow::Result<()> {
    if farm.json {
        return output::json(limits);
    }
    let own = named(own.unwrap_or(&Limits::default()));
    let rows = named(limits).into_iter().zip(own).map(|((name, value), (_, own))| {
        let whose = if own.is_empty() { "everybody" } else { "this person" };
        vec![name.to_owned(), value, whose.to_owned()]
    });
    output::table(&["LIMIT", "AT MOST", "SET FOR"], &rows.collect::<Vec<_>>());
    Ok(())
}

/// Limits by the names that a refusal uses; empty where there is none.
pub(crate) fn named(limits: &Limits) -> [(&'static str, String); 4] {
    let number = |limit: Option<i64>| limit.map(|n| n.to_string()).unwrap_or_default();
    let bytes = limits.bytes.map(|n| Size(n.unsigned_abs()).to_string()).unwrap_or_default();
    [
        ("jobs_waiting", number(limits.jobs_waiting)),
        ("uploads", number(limits.uploads)),
        ("bytes", bytes),
        ("sources", number(limits.sources)),
    ]
}

/// A number of bytes as people write it, such as 50G.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    let size: Size = text.parse().map_err(|error: farm_types::ParseSizeError| error.to_string())?;
    i64::try_from(size.0).map_err(|_| "that is more than there is".to_owned())
}
