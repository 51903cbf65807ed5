//! `farm-admin keep-audit`.

use clap::Args;
use farm_db::operator;

use super::{connect, operator_account};
use crate::farm::FarmArgs;

/// Show or set for how many months the audit is kept
///
/// It is dropped by whole months, by the janitor; each leaves a line that says so.
#[derive(Args)]
pub(crate) struct KeepAuditArgs {
    /// For so many months after its own a line is kept, 3 at least; 0 is for ever, as at first
    months: Option<u32>,
}

pub(crate) fn run(farm: &FarmArgs, args: &KeepAuditArgs) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    if let Some(months) = args.months {
        operator::keep_audit(&mut conn, &operator_account(), months)?;
    }
    match operator::audit_kept(&mut conn)? {
        0 => println!("the audit is kept for ever"),
        months => println!("a line of the audit is kept for {months} months after its own"),
    }
    Ok(())
}
