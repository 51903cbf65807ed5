//! The chores.

pub mod audit;
pub mod blobs;
pub mod builders;
pub mod database;
pub mod faults;
pub mod files;
pub mod invariants;
pub mod mail;
pub mod overdue;
pub mod queue;
pub mod reap;
pub mod retention;
pub mod seal_logs;
pub mod shares;
pub mod tokens;
pub mod undecided;
pub mod uploads;

use farm_db::Pool;
use farm_store::Store;
use futures::future::BoxFuture;

use crate::Config;

/// What every chore works with.
#[derive(Clone)]
pub struct Tools {
    /// The database.
    pub pool: Pool,
    /// The blobs.
    pub store: Store,
    /// The limits and times that the operator set.
    pub config: Config,
}

impl Tools {
    /// Opens what the configuration names.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let pool = Pool::new(&config.database, 4, config.connection_max_age_seconds)?;
        let store = Store::open(&config.store, &config.spool)?;
        Ok(Self { pool, store, config: config.clone() })
    }
}

/// What a chore did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// How many things it dealt with.
    pub done: u64,
    /// Whether there may be more to do at once.
    pub more: bool,
    /// What somebody has to look at.
    pub alarms: Vec<String>,
}

impl Report {
    /// It dealt with so many things and is through.
    pub fn done(done: u64) -> Self {
        Self { done, ..Self::default() }
    }
}

/// What does something with the tools.
pub type Work<T> = fn(Tools) -> BoxFuture<'static, anyhow::Result<T>>;

/// A chore, as the loop and the operator see it.
pub struct Chore {
    /// Its name, in the log, in metrics and for `farm-admin janitor --once`.
    pub name: &'static str,
    /// What it does, for a person.
    pub what: &'static str,
    /// How often it is done, in seconds.
    pub seconds: fn(&Config) -> u64,
    /// Does it.
    pub run_once: Work<Report>,
    /// Says what it would do, a line for each thing, where that can be said without doing it.
    pub preview: Option<Work<Vec<String>>>,
}

/// A row of the table of chores.
macro_rules! chore {
    ($name:ident, $($seconds:ident).+, $what:literal $(, $preview:ident)?) => {
        Chore {
            name: stringify!($name),
            what: $what,
            seconds: |config| config.$($seconds).+,
            run_once: |tools| Box::pin($name::run_once(tools)),
            preview: chore!(@preview $name $(, $preview)?),
        }
    };
    (@preview $name:ident) => { None };
    (@preview $name:ident, $preview:ident) => { Some(|tools| Box::pin($name::$preview(tools))) };
}

/// All of them.
pub const CHORES: &[Chore] = &[
    chore!(reap, reap_seconds, "take back the tasks of builders that went silent"),
    chore!(queue, chores.queue_seconds, "count what waits for each platform, for metrics"),
    chore!(overdue, chores.overdue_seconds, "take back tasks that are over their time though their builders renew"),
    chore!(builders, chores.builders_seconds, "note which builders have vanished"),
    chore!(faults, chores.faults_seconds, "tell of builders out of service, doubtful ones, and tasks set aside"),
    chore!(mail, chores.mail_seconds, "send the notices to the operators by mail"),
    chore!(undecided, chores.undecided_seconds, "look for jobs that no validator decides on", preview),
    chore!(seal_logs, seal_seconds, "put the logs of attempts together that ended without one"),
    chore!(uploads, chores.uploads_seconds, "forget uploads that nobody goes on with"),
    chore!(files, chores.files_seconds, "forget who brought files that are in no job"),
    chore!(shares, chores.shares_seconds, "count what tasks took of persons who hand in nothing now"),
    chore!(tokens, chores.tokens_seconds, "forget tokens that are not good any more"),
    chore!(retention, chores.retention_seconds, "remove the files of jobs that their buckets keep no longer", preview),
    chore!(blobs, chores.blobs_seconds, "remove blobs that nobody needs", preview),
    chore!(audit, chores.audit_seconds, "make the months of the audit that are to come, and drop those kept no longer"),
    chore!(database, chores.database_seconds, "look how the database is", preview),
    chore!(invariants, chores.invariants_seconds, "ask whether everything in the database fits together", preview),
];

/// The chore of that name.
pub fn find(name: &str) -> Option<&'static Chore> {
    CHORES.iter().find(|chore| chore.name == name)
}
