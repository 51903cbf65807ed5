//! `farm-admin user share` and `farm-admin group share`.

use clap::{ArgGroup, Args};
use farm_db::{PgConnection, operator};

use super::operator_account;

/// What to set; without any it is only shown.
#[derive(Args)]
#[command(group = ArgGroup::new("change").args(["share", "reset"]))]
pub(crate) struct ShareArgs {
    /// From 0.01 to 1000: who has 2 gets twice the build time of who has 1, where both wait for it
    #[arg(value_parser = share)]
    share: Option<f64>,
    /// Forget what was set: a person's is that of the groups again, or 1
    #[arg(long)]
    reset: bool,
}

/// Changes the share of a person, or of each who is in a group as in `@packagers`, if that was asked for.
pub(crate) fn change(conn: &mut PgConnection, whose: &str, args: &ShareArgs) -> anyhow::Result<()> {
    if args.reset || args.share.is_some() {
        operator::set_share(conn, &operator_account(), whose, args.share)?;
    }
    Ok(())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.01..=1000.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0.01 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_share_is_a_number_within_bounds() {
        assert_eq!(["0.01", "2", "1000"].map(|text| share(text).unwrap()), [0.01, 2.0, 1000.0]);
        for bad in ["0", "-1", "1001", "NaN", "inf", "much", ""] {
            share(bad).unwrap_err();
        }
    }
}
