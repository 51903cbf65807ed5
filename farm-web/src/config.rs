//! The configuration of farm-web.

use std::path::PathBuf;

use farm_daemon::{KerberosConfig, LogConfig, Login, http::HttpConfig};
use farm_store::StoreConfig;
use serde::Deserialize;

/// The largest file that is taken: 4 GiB, the limit of an RPM's payload without large-file headers.
const MAX_UPLOAD_BYTES: u64 = 4 << 30;
/// Sources of one job; a mass rebuild is many jobs.
const MAX_SOURCES: usize = 100;
/// Tools log in again by themselves.
const LOGIN_SECONDS: u32 = 600;
/// A working day and a half.
const SESSION_SECONDS: u32 = 12 * 60 * 60;
/// Short requests that are under way at once. More would only wait for each other.
const MAX_REQUESTS: usize = 512;
/// Downloads, uploads, and pages that follow something. Each costs a socket and some kilobytes.
const MAX_STREAMS: usize = 4096;
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
    /// For how long this process may stay when it was shut out, by the database or by the KDC, in seconds: connections and tickets are
    /// made anew often enough for that; 600 by default.
    #[serde(default = "farm_db::pool::max_age_seconds")]
    pub connection_max_age_seconds: u64,
    /// Where uploads wait that go to S3; a store in a folder has its own place for them.
    pub spool: PathBuf,
    /// On a farm for one person: who that is. Whoever is on this machine is then that person, and is asked nothing; a proxy on
    /// this machine would make everybody that person, so there must be none. Nobody by default: people come with tickets and
    /// tokens.
    #[serde(default)]
    pub local_user: Option<String>,
    /// The service whose tickets people come with, as in `HTTP@farm.example.org`; by default any whose key is in
    /// `kerberos.service_keytab`. Without such a keytab people come with tokens alone.
    #[serde(default)]
    pub service: Option<String>,
    /// Whether everybody has to be known before anything is shown; no by default.
    #[serde(default)]
    pub require_login: bool,
    /// How long the token is good that a tool gets for a ticket, in seconds; 600 by default, and never longer than the
    /// ticket.
    #[serde(default = "login_seconds")]
    pub login_seconds: u32,
    /// How long a browser's session lasts, in seconds; 12 hours by default.
    #[serde(default = "session_seconds")]
    pub session_seconds: u32,
    /// The largest file that is taken.
    #[serde(default = "max_upload_bytes")]
    pub max_upload_bytes: u64,
    /// The most sources that a job may have.
    #[serde(default = "max_sources")]
    pub max_sources: usize,
    /// How many short requests may be under way at once, of one address half of them; who comes then is asked to come again in some
    /// seconds. 512 by default.
    #[serde(default = "max_requests")]
    pub max_requests: usize,
    /// The same for what takes long: downloads, uploads, pages that follow something. 4096 by default.
    #[serde(default = "max_streams")]
    pub max_streams: usize,
    /// Where the publisher puts the repositories of buckets; none are served by default.
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

fn login_seconds() -> u32 {
    LOGIN_SECONDS
}

fn session_seconds() -> u32 {
    SESSION_SECONDS
}

fn max_upload_bytes() -> u64 {
    MAX_UPLOAD_BYTES
}

fn max_sources() -> usize {
    MAX_SOURCES
}

fn max_requests() -> usize {
    MAX_REQUESTS
}

fn max_streams() -> usize {
    MAX_STREAMS
}

impl farm_daemon::Config for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.http.problems();
        if self.local_user.is_some() && !self.http.listen.is_local() {
            problems.push(format!(
                "http.listen = \"{}\" would let other machines in, and with local_user nobody is asked who it is: listen on \
                 127.0.0.1 or on a unix socket, or leave local_user out",
                self.http.listen
            ));
        }
        if self.local_user.is_some() && self.http.behind_proxy {
            problems.push(
                "http.behind_proxy says that others come through a proxy of this machine, and with local_user every one of them \
                 would be that person: leave one of the two out"
                    .to_owned(),
            );
        }
        if self.pool_size == 0 {
            problems.push("pool_size is 0: no page could ask the database".to_owned());
        }
        if self.max_requests == 0 || self.max_streams == 0 {
            problems.push("max_requests or max_streams is 0: nobody could be served".to_owned());
        }
        if self.max_sources == 0 {
            problems.push("max_sources is 0: no job could be handed in".to_owned());
        }
        if self.local_user.as_ref().is_some_and(|user| user.is_empty() || user.chars().any(char::is_control)) {
            problems.push("local_user is no name".to_owned());
        }
        if self.login_seconds == 0 || self.session_seconds == 0 {
            problems.push("login_seconds or session_seconds is 0: nobody could do anything after the login".to_owned());
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
