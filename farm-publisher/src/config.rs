//! The configuration, `/etc/farm/farm-publisher.toml`.

use std::path::PathBuf;

use farm_daemon::{KerberosConfig, LogConfig, Login, http::HttpConfig};
use farm_store::StoreConfig;
use serde::Deserialize;

/// What the publisher has to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How to reach the database, in libpq's words: `host=db.example.org dbname=farm user=farm_publisher`.
    pub database: String,
    /// For how long this process may stay when it was shut out, by the database or by the KDC, in seconds: connections and tickets are
    /// made anew often enough for that; 600 by default.
    #[serde(default = "farm_db::pool::max_age_seconds")]
    pub connection_max_age_seconds: u64,
    /// Where the blobs are.
    pub store: StoreConfig,
    /// A folder of its own on a local disk.
    pub spool: PathBuf,
    /// The folder of the repositories, which farm-web serves; `/var/lib/farm/repositories` by default. All publishers of a
    /// farm share it: on a network file system it has to have atomic rename and flock.
    #[serde(default = "repositories")]
    pub repositories: PathBuf,
    /// The program that makes metadata; `createrepo_c` by default.
    #[serde(default = "createrepo")]
    pub createrepo: PathBuf,
    /// How long to wait after something was built for more to publish with it, in milliseconds; 2000 by default.
    #[serde(default = "settle_milliseconds")]
    pub settle_milliseconds: u64,
    /// How often to look for what to publish though nothing was heard of any, and how long to wait after a failure, in
    /// seconds; 30 by default.
    #[serde(default = "rescan_seconds")]
    pub rescan_seconds: u64,
    /// How long files stay that the newest metadata does not name, in seconds; an hour by default.
    #[serde(default = "grace_seconds")]
    pub grace_seconds: u64,
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

fn repositories() -> PathBuf {
    PathBuf::from("/var/lib/farm/repositories")
}

fn createrepo() -> PathBuf {
    PathBuf::from("createrepo_c")
}

fn settle_milliseconds() -> u64 {
    2000
}

fn rescan_seconds() -> u64 {
    30
}

fn grace_seconds() -> u64 {
    3600
}

impl farm_daemon::Config for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.metrics.as_ref().map(HttpConfig::problems).unwrap_or_default();
        if self.rescan_seconds == 0 {
            problems.push("rescan_seconds is 0: the publisher would look all the time".to_owned());
        }
        if !self.repositories.is_absolute() {
            problems.push(format!("repositories is no absolute path: {}", self.repositories.display()));
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
