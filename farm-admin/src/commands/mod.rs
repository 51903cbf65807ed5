//! What an operator does to a farm.

pub(crate) mod after_restore;
pub(crate) mod audit;
pub(crate) mod bucket;
mod build_limit;
pub(crate) mod builder;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod fleet;
pub(crate) mod grant;
pub(crate) mod group;
pub(crate) mod janitor;
pub(crate) mod keep_audit;
mod limit;
pub(crate) mod migrate;
pub(crate) mod platform;
pub(crate) mod selftest;
pub(crate) mod set_aside;
mod share;
pub(crate) mod token;
pub(crate) mod user;
mod who;

use std::path::PathBuf;

use anyhow::Context as _;
use farm_db::{Actor, PgConnection};

use crate::{farm::FarmArgs, up::Layout};

/// Opens the farm's database with the operator's rights: the one named on the command line, else the one of a farm that
/// `up` runs in the data folder.
pub(crate) fn connect(farm: &FarmArgs) -> anyhow::Result<PgConnection> {
    let conninfo = conninfo(farm)?;
    farm_db::migrate::connect(&conninfo).context("cannot work on the farm: its database is not there; is the farm up?")
}

/// Who the operator is, for the audit: the account on this machine, behind sudo the one who called it.
pub(crate) fn operator_account() -> Actor {
    let sudo = std::env::var("SUDO_USER").ok().filter(|user| !user.is_empty());
    Actor::operator(&sudo.unwrap_or_else(user_name))
}

/// The name of the account that this process runs as.
pub(crate) fn user_name() -> String {
    let uid = nix::unistd::geteuid();
    nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// Where the farm's database is.
pub(crate) fn conninfo(farm: &FarmArgs) -> anyhow::Result<String> {
    match &farm.database {
        Some(conninfo) => Ok(conninfo.clone()),
        None => Layout::of(farm)?.operator_conninfo(),
    }
}

/// The configuration of the farm's janitor: of a farm in the data folder the one there, else the usual one.
fn janitor_config(farm: &FarmArgs) -> anyhow::Result<PathBuf> {
    let own = Layout::of(farm)?.config("janitor");
    Ok(if farm.database.is_none() && own.exists() { own } else { PathBuf::from("/etc/farm/farm-janitor.toml") })
}
