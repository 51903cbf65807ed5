//! The configuration, `/etc/farm/farm-validator.toml`.

use std::path::PathBuf;

use farm_daemon::{KerberosConfig, LogConfig, Login, http::HttpConfig};
use farm_rpm::Limits;
use farm_store::StoreConfig;
use serde::Deserialize;

/// Jobs that are validated at the same time.
const WORKERS: usize = 2;
/// How often to look for submitted jobs though nothing was heard of any, in seconds.
const RESCAN_SECONDS: u64 = 15;

/// What the validator has to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How to reach the database, in libpq's words: `host=db.example.org dbname=farm user=farm_validator`.
    pub database: String,
    /// For how long this process may stay when it was shut out, by the database or by the KDC, in seconds: connections and tickets are
    /// made anew often enough for that; 600 by default.
    #[serde(default = "farm_db::pool::max_age_seconds")]
    pub connection_max_age_seconds: u64,
    /// Where the blobs are.
    pub store: StoreConfig,
    /// A folder of its own on a local disk.
    pub spool: PathBuf,
    /// Jobs that are validated at the same time; 2 by default.
    #[serde(default = "workers")]
    pub workers: usize,
    /// How often to look for submitted jobs though nothing was heard of any, in seconds; 15 by default.
    #[serde(default = "rescan_seconds")]
    pub rescan_seconds: u64,
    /// Bytes of the largest source package that is taken; 4 GiB by default.
    #[serde(default = "max_source_bytes")]
    pub max_source_bytes: u64,
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

fn workers() -> usize {
    WORKERS
}

fn rescan_seconds() -> u64 {
    RESCAN_SECONDS
}

fn max_source_bytes() -> u64 {
    Limits::default().package
}

impl Config {
    pub(crate) fn limits(&self) -> Limits {
        Limits { package: self.max_source_bytes, ..Limits::default() }
    }
}

impl farm_daemon::Config for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.metrics.as_ref().map(HttpConfig::problems).unwrap_or_default();
        if self.workers == 0 {
            problems.push("workers is 0: no job would ever be decided on".to_owned());
        }
        if self.rescan_seconds == 0 {
            problems.push("rescan_seconds is 0: the validator would look all the time".to_owned());
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
