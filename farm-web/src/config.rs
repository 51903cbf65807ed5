//! The configuration of farm-web.

use std::path::PathBuf;

use farm_daemon::{LogConfig, http::HttpConfig};
use farm_store::StoreConfig;
use serde::Deserialize;

/// The largest file that is taken: 4 GiB, the limit of an RPM's payload without large-file headers.
const MAX_UPLOAD_BYTES: u64 = 4 << 30;
/// Sources of one job; a mass rebuild is many jobs.
const MAX_SOURCES: usize = 100;
/// Connections to the database. A page needs one for some milliseconds.
const POOL_SIZE: usize = 12;

/// What farm-web has to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How to reach the database, as libpq reads it.
    pub database: String,
    /// How many connections to it at the most.
    #[serde(default = "pool_size")]
    pub pool_size: usize,
    /// Where uploads wait that go to S3; a store in a folder has its own place for them.
    pub spool: PathBuf,
    /// Who a caller is. There is no authentication yet, so every caller is on this machine, and all are one person.
    #[serde(default = "local_user")]
    pub local_user: String,
    /// The largest file that is taken.
    #[serde(default = "max_upload_bytes")]
    pub max_upload_bytes: u64,
    /// The most sources that a job may have.
    #[serde(default = "max_sources")]
    pub max_sources: usize,
    /// Where the publisher puts the repositories of buckets; none are served by default.
    #[serde(default)]
    pub repositories: Option<PathBuf>,
    /// Where to listen.
    pub http: HttpConfig,
    /// Where the blobs are.
    pub store: StoreConfig,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
}

fn pool_size() -> usize {
    POOL_SIZE
}

fn local_user() -> String {
    "local".to_owned()
}

fn max_upload_bytes() -> u64 {
    MAX_UPLOAD_BYTES
}

fn max_sources() -> usize {
    MAX_SOURCES
}

impl farm_daemon::Config for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.http.listen.is_local() {
            problems.push(format!(
                "http.listen = \"{}\" would let other machines in, and nobody has to say who he is: listen on 127.0.0.1 \
                 or on a unix socket",
                self.http.listen
            ));
        }
        if self.pool_size == 0 {
            problems.push("pool_size is 0: no page could ask the database".to_owned());
        }
        if self.max_sources == 0 {
            problems.push("max_sources is 0: no job could be handed in".to_owned());
        }
        if self.local_user.is_empty() || self.local_user.chars().any(char::is_control) {
            problems.push("local_user is no name".to_owned());
        }
        problems
    }

    fn log(&self) -> LogConfig {
        self.log.clone()
    }
}
