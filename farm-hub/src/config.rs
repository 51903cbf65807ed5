//! The configuration, `/etc/farm/farm-hub.toml`.

use std::path::PathBuf;

use farm_daemon::{KerberosConfig, LogConfig, Login, http::HttpConfig};
use farm_store::StoreConfig;
use serde::Deserialize;

/// Two to four per core of the database server are best; more only slow it down.
const POOL_SIZE: usize = 8;
/// How long a task is held by a builder of which nothing is heard.
const LEASE_SECONDS: u32 = 60;
/// Who was shut out stays for so long at the most; a new login costs a builder some milliseconds.
const LOGIN_SECONDS: u32 = 600;
/// Two renewals may get lost.
const RENEW_SECONDS: u32 = 20;
/// Notifications are lost while the connection is.
const RESCAN_SECONDS: u64 = 15;
/// One who waits costs a socket and some kilobytes.
const MAX_WAITING: usize = 20_000;
/// More would only wait for each other.
const MAX_CALLS: usize = 512;
/// The largest package that anybody builds has some gigabytes.
const MAX_ARTIFACT_BYTES: u64 = 8 << 30;
/// More than anybody reads; what is above it is a build that prints in a loop.
const MAX_LOG_BYTES: u64 = 256 << 20;

/// What the hub has to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How to reach the database, in libpq's words: `host=db.example.org dbname=farm user=farm_hub`.
    pub database: String,
    /// Connections to it at the most, besides the one that listens; 8 by default. A quarter of them is kept for renewals and results.
    #[serde(default = "pool_size")]
    pub pool_size: usize,
    /// For how long this process may stay when it was shut out, by the database or by the KDC, in seconds: connections and tickets are
    /// made anew often enough for that; 600 by default.
    #[serde(default = "farm_db::pool::max_age_seconds")]
    pub connection_max_age_seconds: u64,
    /// Where artifacts wait that go to S3; a store in a folder has its own place for them.
    pub spool: PathBuf,
    /// How long a lease lasts without renewal; 60 by default.
    #[serde(default = "lease_seconds")]
    pub lease_seconds: u32,
    /// The service whose tickets builders come with, as in `HTTP@hub.example.org`; by default any whose key is in
    /// `kerberos.service_keytab`. Without such a keytab builders come with tokens alone.
    #[serde(default)]
    pub service: Option<String>,
    /// How long the token is good that a builder gets for its ticket, in seconds; 600 by default.
    #[serde(default = "login_seconds")]
    pub login_seconds: u32,
    /// How often builders renew; 20 by default.
    #[serde(default = "renew_seconds")]
    pub renew_seconds: u32,
    /// How often to look for tasks of which nothing was heard, or up to twice as long, by chance; 15 by default.
    #[serde(default = "rescan_seconds")]
    pub rescan_seconds: u64,
    /// How many claims, and how many renewals, may wait here; who comes then is sent away for some seconds. 20,000 by default.
    #[serde(default = "max_waiting")]
    pub max_waiting: usize,
    /// How many other calls may be under way at once, of one address half of them; who comes then is sent away for some seconds. 512 by
    /// default.
    #[serde(default = "max_calls")]
    pub max_calls: usize,
    /// The largest artifact that is taken; 8 GiB by default.
    #[serde(default = "max_artifact_bytes")]
    pub max_artifact_bytes: u64,
    /// The longest log of an attempt that is taken, unpacked; 256 MiB by default.
    #[serde(default = "max_log_bytes")]
    pub max_log_bytes: u64,
    /// Where the publisher puts the repositories of buckets, for jobs whose builds install from them; without, there are no such builds.
    #[serde(default)]
    pub repositories: Option<PathBuf>,
    /// Where to listen.
    pub http: HttpConfig,
    /// Where the blobs are.
    pub store: StoreConfig,
    /// As whom this process logs in to the database, and with which keys; without, as libpq and the database are set up.
    #[serde(default)]
    pub kerberos: KerberosConfig,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
}

fn pool_size() -> usize {
    POOL_SIZE
}

fn lease_seconds() -> u32 {
    LEASE_SECONDS
}

fn login_seconds() -> u32 {
    LOGIN_SECONDS
}

fn renew_seconds() -> u32 {
    RENEW_SECONDS
}

fn rescan_seconds() -> u64 {
    RESCAN_SECONDS
}

fn max_waiting() -> usize {
    MAX_WAITING
}

fn max_calls() -> usize {
    MAX_CALLS
}

fn max_artifact_bytes() -> u64 {
    MAX_ARTIFACT_BYTES
}

fn max_log_bytes() -> u64 {
    MAX_LOG_BYTES
}

impl farm_daemon::Config for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.http.problems();
        if self.pool_size == 0 {
            problems.push("pool_size is 0: the hub could not ask the database anything".to_owned());
        }
        if self.renew_seconds == 0 || self.renew_seconds > self.lease_seconds / 2 {
            problems.push(format!(
                "renew_seconds is {}: it takes 1 to half of lease_seconds, so that one lost renewal costs no build",
                self.renew_seconds
            ));
        }
        if self.rescan_seconds == 0 {
            problems.push("rescan_seconds is 0: the hub would look all the time".to_owned());
        }
        if self.max_waiting == 0 || self.max_calls == 0 {
            problems.push("max_waiting or max_calls is 0: no builder could be served".to_owned());
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

#[cfg(test)]
mod tests {
    use farm_daemon::Config as _;

    use super::*;

    const SMALLEST: &str = "database = 'dbname=farm'\nspool = '/s'\n[http]\nlisten = '127.0.0.1:1'\n[store]\nkind = 'folder'\npath = '/b'\n";

    fn read(first_line: &str) -> Config {
        toml::from_str(&format!("{first_line}\n{SMALLEST}")).unwrap()
    }

    #[test]
    fn the_defaults_are_right_together() {
        let config = read("");
        assert_eq!((config.lease_seconds, config.renew_seconds, config.pool_size), (60, 20, 8));
        assert!(config.validate().is_empty());
    }

    #[test]
    fn a_renewal_that_comes_too_late_for_the_lease_is_refused() {
        let problems = read("renew_seconds = 31").validate();
        assert!(problems.len() == 1 && problems[0].starts_with("renew_seconds is 31"), "{problems:?}");
    }
}
