//! The first word with the database: who we are there, or why we cannot be.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use diesel::PgConnection;
use tracing::{info, warn};

use crate::{DbError, Result, access, pool::connect};

/// Why a process cannot work with its database, and trying again would not help.
#[derive(Debug, thiserror::Error)]
pub enum IntroductionError {
    /// The database, or the way to it, does not take us for who we should be.
    #[error("the database does not let this process in: {why}; {cure}")]
    NotLetIn {
        /// What libpq says.
        why: String,
        /// What to do about it.
        cure: &'static str,
    },
    /// We came in as somebody else.
    #[error(
        "this process came to the database as the role {found}, and has to be {expected}: put user={expected} into the \
         configuration's database, and see pg_ident.conf for the principal {process}"
    )]
    WrongRole {
        /// The role it has.
        found: String,
        /// The role it needs.
        expected: &'static str,
        /// The principal it came with.
        process: String,
    },
    /// The ticket cannot be used by this program.
    #[error(
        "the libpq of this program was built without Kerberos (GSSAPI), and a keytab is configured: use the system's libpq"
    )]
    NoGss,
}

/// What libpq and PostgreSQL say when a database is there and another try would end the same.
const FINAL_WORDS: [&str; 12] = [
    "authentication failed",
    "no pg_hba.conf entry",
    "does not exist",
    "permission denied",
    "GSSAPI",
    "gss",
    "Kerberos",
    "no password supplied",
    "host name must be specified",
    "invalid connection option",
    "invalid value for parameter",
    "is not permitted to log in",
];

/// What they say when something on the way is away at the moment, a KDC too: also where the rest of the text sounds final.
const PASSING_WORDS: [&str; 5] =
    ["Cannot contact any KDC", "Cannot resolve", "Connection refused", "timed out", "timeout expired"];

/// Whether another try would end the same.
fn is_final(why: &str) -> bool {
    let says = |words: &[&str]| words.iter().any(|words| why.contains(words));
    !says(&PASSING_WORDS) && says(&FINAL_WORDS)
}

/// What an operator can do about some of them.
const CURES: [(&str, &str); 8] = [
    ("GSSAPI authentication failed", "see pg_ident.conf: the principal of this process has no such role"),
    ("no pg_hba.conf entry", "add a line to pg_hba.conf, as farm-admin's documents have it"),
    ("integrity check failed", "make the keytab anew: the KDC has another key for its principal"),
    ("Preauthentication failed", "make the keytab anew: the KDC has another key for its principal"),
    ("revoked", "the KDC has disabled the principal of this process: ask who runs the realm"),
    (
        "not found in Kerberos database",
        "make that principal, or put into the configuration's database the host name that it has",
    ),
    ("No Kerberos credentials", "name a keytab in the configuration: client_keytab in [kerberos]"),
    ("Clock skew", "set the clocks by NTP"),
];

fn cure(why: &str) -> &'static str {
    let found = CURES.iter().find(|(words, _)| why.contains(words));
    found.map_or("see the configuration's database, and the log of PostgreSQL", |(_, cure)| *cure)
}

/// Who a process has to be to its database, until that is sure.
#[derive(Debug)]
#[must_use = "a database that was away may still let this process in as somebody else"]
pub struct Introduction {
    conninfo: String,
    role: &'static str,
    /// Why it is not sure yet.
    missing: Option<String>,
}

/// Connects once, says in the log who this process is to the database, and refuses to go on as somebody else. A database that is
/// not there yet is no error: [`Introduction::complete`] waits for it.
pub async fn introduce(conninfo: &str, role: &'static str) -> Result<Introduction, IntroductionError> {
    if std::env::var_os("KRB5_CLIENT_KTNAME").is_some() && !libpq_knows_gss() {
        return Err(IntroductionError::NoGss);
    }
    let mut introduction = Introduction { conninfo: conninfo.to_owned(), role, missing: None };
    introduction.meet().await?;
    Ok(introduction)
}

impl Introduction {
    /// Tries again, with growing pauses, until the database has said who this process is.
    pub async fn complete(mut self) -> Result<(), IntroductionError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .without_max_times()
            .build();
        while self.missing.is_some() {
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
            self.meet().await?;
        }
        Ok(())
    }

    async fn meet(&mut self) -> Result<(), IntroductionError> {
        let conninfo = self.conninfo.clone();
        let met = tokio::task::spawn_blocking(move || {
            let mut conn: PgConnection = connect(&conninfo)?;
            access::process(&mut conn)
        });
        match met.await.unwrap_or_else(|error| Err(DbError::Unavailable(error.to_string()))) {
            Ok((found, process)) if found != self.role => {
                return Err(IntroductionError::WrongRole { found, expected: self.role, process });
            }
            Ok((role, process)) => {
                self.missing = None;
                info!(
                    database.role = role,
                    database.principal = process,
                    "the database knows this process as {role} ({process})"
                );
            }
            Err(DbError::Unavailable(why)) if is_final(&why) => {
                let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
                let cure = cure(&why);
                return Err(IntroductionError::NotLetIn { why, cure });
            }
            Err(error) => self.wait_for(&error),
        }
        Ok(())
    }

    /// Says once what is waited for, and not again with each try.
    fn wait_for(&mut self, error: &DbError) {
        let why = error.to_string();
        if self.missing.as_ref() != Some(&why) {
            warn!("the database is not there yet: {why}; trying again until it is");
        }
        self.missing = Some(why);
    }
}

/// Whether the libpq of this program can log in with a Kerberos ticket. One that was built without refuses the option before it
/// looks at anything else; a bundled one is such.
pub fn libpq_knows_gss() -> bool {
    use diesel::Connection as _;
    let nowhere = "host=localhost hostaddr=127.0.0.1 port=1 gssencmode=require connect_timeout=2";
    PgConnection::establish(nowhere).err().is_none_or(|error| !error.to_string().contains("not compiled in"))
}

#[cfg(test)]
mod tests {
    use super::is_final;

    #[test]
    fn what_is_away_for_the_moment_is_waited_for_and_what_would_not_change_is_not() {
        for passing in [
            "could not initiate GSSAPI security context: Unspecified GSS failure: Cannot contact any KDC for realm 'FARM.TEST'",
            "could not initiate GSSAPI security context: Cannot resolve network address for KDC in realm FARM.TEST",
            "connection to server at \"127.0.0.1\", port 5432 failed: Connection refused",
            "connection to server at \"db\" failed: Connection timed out",
            "the database system is starting up",
        ] {
            assert!(!is_final(passing), "{passing}");
        }
        for lasting in [
            "FATAL:  GSSAPI authentication failed for user \"farm_web\"",
            "FATAL:  role \"farm_web\" does not exist",
            "could not initiate GSSAPI security context: Preauthentication failed while getting initial credentials",
        ] {
            assert!(is_final(lasting), "{lasting}");
        }
    }

    #[test]
    fn the_libpq_in_use_can_log_in_with_a_ticket() {
        assert!(super::libpq_knows_gss(), "libpq has no GSSAPI: is it a bundled one?");
    }
}
