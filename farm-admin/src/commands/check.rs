//! `farm-admin check`.

use anyhow::bail;
use farm_db::invariants;

use super::connect;
use crate::{farm::FarmArgs, output};

pub(crate) fn run(farm: &FarmArgs) -> anyhow::Result<()> {
    let breaches = invariants::check(&mut connect(farm)?)?;
    if farm.json {
        output::json(&breaches)?;
    } else if breaches.is_empty() {
        println!("all {} rules hold", invariants::INVARIANTS.len());
    } else {
        breaches.iter().for_each(|breach| println!("{breach}"));
    }
    match breaches.len() {
        0 => Ok(()),
        1 => bail!("one thing in the database contradicts another: keep a copy of it, and report this"),
        n => bail!("{n} things in the database contradict others: keep a copy of it, and report this"),
    }
}
