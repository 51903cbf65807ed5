//! Which farm an operator works on.

use std::path::PathBuf;

use clap::Args;

/// Which farm to work on.
#[derive(Args, Clone, Debug)]
pub(crate) struct FarmArgs {
    /// The database of the farm, in libpq's words
    #[arg(long, global = true, value_name = "CONNINFO", env = "FARM_DATABASE")]
    pub database: Option<String>,
    /// The folder of a farm that `farm-admin up` runs [default: /var/lib/farm, or ~/.local/share/farm for other than root]
    #[arg(long, global = true, value_name = "DIR", env = "FARM_DATA", conflicts_with = "database")]
    pub data: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}
