//! The configuration, `/etc/farm/farm-janitor.toml`.

use std::path::PathBuf;

use farm_daemon::{KerberosConfig, LogConfig, Login, http::HttpConfig};
use farm_store::StoreConfig;
use serde::Deserialize;

/// What the janitor has to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How to reach the database, in libpq's words: `host=db.example.org dbname=farm user=farm_janitor`.
    pub database: String,
    /// For how long this process may stay when it was shut out, by the database or by the KDC, in seconds: connections and tickets are
    /// made anew often enough for that; 600 by default.
    #[serde(default = "farm_db::pool::max_age_seconds")]
    pub connection_max_age_seconds: u64,
    /// Where the blobs are.
    pub store: StoreConfig,
    /// A folder of its own on a local disk.
    pub spool: PathBuf,
    /// How often to look for leases that ran out, in seconds; 5 by default.
    #[serde(default = "reap_seconds")]
    pub reap_seconds: u64,
    /// How long a lease must have run out before it is taken back, in seconds; 5 by default.
    #[serde(default = "reap_grace_seconds")]
    pub reap_grace_seconds: u32,
    /// How long builders have to renew their leases before any is taken back, when the janitor has just come up or the database
    /// has just come back, in seconds; 30 by default.
    #[serde(default = "settle_seconds")]
    pub settle_seconds: u64,
    /// How often to seal logs of attempts that ended without one, in seconds; 30 by default.
    #[serde(default = "seal_seconds")]
    pub seal_seconds: u64,
    /// How long an upload may lie untouched, in seconds; a week by default.
    #[serde(default = "upload_idle_seconds")]
    pub upload_idle_seconds: u32,
    /// Where to serve health and metrics; nowhere by default.
    #[serde(default)]
    pub metrics: Option<HttpConfig>,
    /// As whom this process logs in to the database, and with which keys; without, as libpq and the database are set up.
    #[serde(default)]
    pub kerberos: KerberosConfig,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
}

fn reap_seconds() -> u64 {
    5
}

fn reap_grace_seconds() -> u32 {
    5
}

/// Longer than builders wait between two renewals, failed ones too.
fn settle_seconds() -> u64 {
    30
}

fn seal_seconds() -> u64 {
    30
}

fn upload_idle_seconds() -> u32 {
    7 * 24 * 3600
}

impl farm_daemon::Config for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.metrics.as_ref().map(HttpConfig::problems).unwrap_or_default();
        for (name, value) in [("reap_seconds", self.reap_seconds), ("seal_seconds", self.seal_seconds)] {
            if value == 0 {
                problems.push(format!("{name} is 0: the janitor would never rest"));
            }
        }
        problems
    }

    fn log(&self) -> LogConfig {
        self.log.clone()
    }

    fn kerberos(&self) -> Option<&KerberosConfig> {
        Some(&self.kerberos)
    }

    fn login(&self) -> Option<Login> {
        let database = self.database.clone();
        Some(Login::new(self.connection_max_age_seconds, move || farm_db::pool::log_in(&database)))
    }
}
