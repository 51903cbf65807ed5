//! A login to the database as a daemon does it.
//!
//! libpq and the Kerberos library take keytab and tickets from the environment, and that is a matter of the whole process: so it
//! is a process of its own, this program again with a hidden option.

use std::{
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::farm::FarmArgs;

/// The hidden option.
const OPTION: &str = "--database-login";
/// Seconds that a server may take to let us in.
const PATIENCE: &str = "10";

/// Who came in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Met {
    /// The role.
    pub role: String,
    /// The principal; or the role, if no ticket was needed.
    pub process: String,
}

/// Logs in with a keytab, and says as whom, or what libpq says.
pub(super) fn log_in(conninfo: &str, keytab: &Path) -> Result<Met, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let output = Command::new(program)
        .args(["doctor", OPTION])
        // Not an option: there may be a password in it.
        .env("FARM_DATABASE", conninfo)
        .env_remove("FARM_DATA")
        .env("KRB5_CLIENT_KTNAME", format!("FILE:{}", keytab.display()))
        .env("KRB5CCNAME", "MEMORY:farm-doctor")
        .env("PGCONNECT_TIMEOUT", PATIENCE)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start this program: {error}"))?;
    if output.status.success() {
        return serde_json::from_slice(&output.stdout).map_err(|error| error.to_string());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The other side: the process that logs in.
pub(crate) fn main(farm: &FarmArgs) -> ExitCode {
    let met = || {
        let conninfo = farm.database.as_deref().context("FARM_DATABASE says which database")?;
        let mut conn = farm_db::pool::connect(conninfo)?;
        let (role, process) =
            farm_db::access::process(&mut conn).context("the login succeeds, but this is no farm's database")?;
        anyhow::Ok(serde_json::to_string(&Met { role, process })?)
    };
    match met() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
