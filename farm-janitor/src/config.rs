//! The configuration, `/etc/farm/farm-janitor.toml`.

use std::path::PathBuf;

use farm_daemon::{KerberosConfig, LogConfig, Login, http::HttpConfig};
use farm_store::StoreConfig;
use serde::Deserialize;

use crate::{chores::CHORES, mail::MailConfig};

/// The shortest grace for blobs, in seconds.
const MIN_BLOB_GRACE: u32 = 600;

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
    /// How often the chores are done, and what they bear with.
    #[serde(default)]
    pub chores: Chores,
    /// Where notices to the operators are sent; nowhere by default.
    #[serde(default)]
    pub mail: Option<MailConfig>,
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

/// How often the chores are done, and what they bear with: `[chores]`. All in seconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chores {
    /// How often to count what waits for each platform; 15 by default.
    pub queue_seconds: u64,
    /// How often to look for tasks that are over their time; 60 by default.
    pub overdue_seconds: u64,
    /// How long a builder may be at a task after its time was over; 21600 by default. That counts its own steps alone.
    pub overdue_grace_seconds: u32,
    /// How often to look for builders that vanished; 60 by default.
    pub builders_seconds: u64,
    /// How long a builder may be silent until it counts as vanished; 600 by default.
    pub builder_gone_seconds: u32,
    /// How long a builder that registered itself may be silent until it is taken off the list; 3600 by default.
    pub builder_left_seconds: u32,
    /// How often to judge builders again that spoil tasks, and to tell of what is out of use; 60 by default.
    pub faults_seconds: u64,
    /// How often to look for notices to send; 30 by default.
    pub mail_seconds: u64,
    /// How often to look for jobs that no validator decides on; 60 by default.
    pub undecided_seconds: u64,
    /// How long a job may wait for a decision; 300 by default.
    pub undecided_after_seconds: u32,
    /// How often to look for stale uploads; 600 by default.
    pub uploads_seconds: u64,
    /// How often to forget who brought files; 3600 by default.
    pub files_seconds: u64,
    /// How long a file that is in no job is kept after it was brought or asked for last; a week by default.
    pub file_idle_seconds: u32,
    /// How often to count what tasks took of persons who hand in nothing now; 600 by default.
    pub shares_seconds: u64,
    /// How often to look for expired tokens; 600 by default.
    pub tokens_seconds: u64,
    /// How often to remove files that buckets keep no longer; 3600 by default.
    pub retention_seconds: u64,
    /// How often to look for blobs that nobody needs; 3600 by default.
    pub blobs_seconds: u64,
    /// How long a blob has to be without an owner before it goes; a day by default.
    pub blob_grace_seconds: u32,
    /// How often to make months of the audit ahead and to drop those that are kept no longer; 3600 by default.
    pub audit_seconds: u64,
    /// How often to look how the database is; 60 by default.
    pub database_seconds: u64,
    /// How often to ask whether everything fits together, which reads the whole history; 6 hours by default.
    pub invariants_seconds: u64,
}

impl Default for Chores {
    fn default() -> Self {
        Self {
            queue_seconds: 15,
            overdue_seconds: 60,
            overdue_grace_seconds: 21_600,
            builders_seconds: 60,
            builder_gone_seconds: 600,
            builder_left_seconds: 3600,
            faults_seconds: 60,
            mail_seconds: 30,
            undecided_seconds: 60,
            undecided_after_seconds: 300,
            uploads_seconds: 600,
            files_seconds: 3600,
            file_idle_seconds: 7 * 24 * 3600,
            shares_seconds: 600,
            tokens_seconds: 600,
            retention_seconds: 3600,
            blobs_seconds: 3600,
            blob_grace_seconds: 24 * 3600,
            audit_seconds: 3600,
            database_seconds: 60,
            invariants_seconds: 6 * 3600,
        }
    }
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
        for chore in CHORES {
            if (chore.seconds)(self) == 0 {
                problems.push(format!(
                    "the chore {} is to be done every 0 seconds: the janitor would never rest",
                    chore.name
                ));
            }
        }
        problems.extend(self.mail.iter().flat_map(MailConfig::problems));
        if self.chores.blob_grace_seconds < MIN_BLOB_GRACE {
            problems
                .push(format!("blob_grace_seconds is less than {MIN_BLOB_GRACE}: nobody could mend a mistake in time"));
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
