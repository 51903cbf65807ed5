//! Where a process keeps its tickets, and how it comes by newer ones before the old ones have ended.
//!
//! The Kerberos library logs in anew when half of a ticket's life is over, and goes on with what it has when the KDC refuses: a
//! principal that was disabled there would stay until its ticket ends. So this process asks the KDC more often than that, as
//! the configuration says ([`Login`]), and gives its tickets up when it is refused. When the KDC cannot be reached, and says
//! nothing, they stay: the farm does not stand still because a KDC is restarted.
//!
//! Which tickets are used is a variable of the environment, which no process may change while it has threads. So newer tickets are
//! got by a child, this program once more with a hidden option, into a file beside, and take the place of the old ones by
//! `rename`. The child really logs in where the process does, so that the ticket for that service is among them: it is
//! what lets the process go on without a KDC.

use std::{
    convert::Infallible,
    io::ErrorKind,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::{process::Command, time};
use tracing::{debug, error, info, warn};

use crate::{Config, DaemonArgs, args::LOG_IN_ONCE, config};

/// Newer tickets are got so many times in the time that somebody who was shut out may stay; connections live for most of that time
/// (`farm_db::pool`), and what is left is for the login itself.
const LOGINS: u32 = 5;
/// Not more often than this, however short that time is.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long a login may take. The library tries every KDC of a realm, some of them more than once.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the library says where the KDC answered, and the answer was that this principal gets no ticket (any more): the errors of
/// RFC 4120, section 7.5.9, in MIT's words.
const REFUSALS: [&str; 6] = [
    "Client's credentials have been revoked",
    "Client's entry in database has expired",
    "Password has expired",
    "Preauthentication failed",
    "Decrypt integrity check failed",
    "KDC policy rejects request",
];

/// How a daemon logs in with its tickets.
pub struct Login {
    max_age: Duration,
    log_in: Box<dyn FnOnce() -> Result<(), String> + Send>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("max_age", &self.max_age).finish_non_exhaustive()
    }
}

impl Login {
    /// A login as `log_in` does it, which is called in a process of its own; it says why it failed. Whoever the KDC disabled may stay
    /// for so many seconds.
    pub fn new(max_age_seconds: u64, log_in: impl FnOnce() -> Result<(), String> + Send + 'static) -> Self {
        Self { max_age: Duration::from_secs(max_age_seconds), log_in: Box::new(log_in) }
    }

    /// The pause between two of them.
    fn period(&self) -> Duration {
        (self.max_age / LOGINS).max(SHORTEST)
    }
}

/// The tickets of this process. Dropped, their folder is removed.
#[derive(Debug)]
pub struct Tickets {
    file: PathBuf,
    /// The folder they are in, if it was made for them. It goes with this.
    _folder: Option<TempDir>,
}

impl Tickets {
    /// In a folder that only this user can enter: that of the unit, or a new one.
    pub(crate) fn in_own_folder(daemon: &str) -> anyhow::Result<Self> {
        let unit = std::env::var_os("RUNTIME_DIRECTORY");
        let place =
            unit.as_deref().and_then(|all| std::env::split_paths(all).next()).unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{daemon}-tickets-"))
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(&place)
            .with_context(|| format!("cannot make a folder for Kerberos tickets in {}", place.display()))?;
        Ok(Self { file: folder.path().join("tickets"), _folder: Some(folder) })
    }

    /// In this file.
    pub(crate) fn in_file(file: &Path) -> Self {
        Self { file: file.to_owned(), _folder: None }
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Gets newer tickets again and again.
    pub(crate) async fn keep_new(&self, login: Login) -> Infallible {
        let mut ticks = time::interval(login.period());
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        // The first ones are got by the first connection.
        ticks.tick().await;
        let mut last = Answer::Given;
        loop {
            ticks.tick().await;
            let answer = self.renew().await;
            answer.tell(&last);
            last = answer;
        }
    }

    async fn renew(&self) -> Answer {
        let mut new = self.file.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        let answer = match log_in_elsewhere(&new).await {
            Ok(()) => match std::fs::rename(&new, &self.file) {
                Ok(()) => Answer::Given,
                Err(error) => Answer::Silent(format!("{} cannot be replaced: {error}", self.file.display())),
            },
            Err(why) if is_refusal(&why) => match remove(&self.file) {
                Ok(()) => Answer::Refused(why),
                Err(error) => Answer::Silent(format!("{why}; and {} cannot be removed: {error}", self.file.display())),
            },
            Err(why) => Answer::Silent(why),
        };
        // What a login left that failed halfway.
        let _ = remove(&new);
        answer
    }
}

/// What came of asking for newer tickets.
#[derive(Debug)]
enum Answer {
    /// They are there.
    Given,
    /// The KDC does not give this principal any.
    Refused(String),
    /// Nobody said no.
    Silent(String),
}

impl Answer {
    /// Says what became of it, when that is news.
    fn tell(&self, last: &Self) {
        match (self, last) {
            (Self::Given, Self::Given) => debug!("the KDC gave newer tickets"),
            (Self::Given, _) => info!("the KDC gives tickets to this process again"),
            (Self::Refused(_), Self::Refused(_)) | (Self::Silent(_), Self::Silent(_)) => {}
            (Self::Refused(why), _) => error!(
                "the KDC gives no tickets to this process any more, and those that it had are given up: {why}; ask who runs the \
                 realm, or make the keytab anew if its key is old"
            ),
            (Self::Silent(why), _) => {
                warn!(
                    "no newer tickets can be had, and this process goes on with those that it has until they end: {why}"
                );
            }
        }
    }
}

/// Whether the KDC itself said no, and to this principal: not that it cannot be reached, nor that it knows no such service.
fn is_refusal(why: &str) -> bool {
    REFUSALS.iter().any(|words| why.contains(words))
        || (why.contains("Client '") && why.contains("not found in Kerberos database"))
}

/// That a file is not there.
fn remove(file: &Path) -> std::io::Result<()> {
    std::fs::remove_file(file).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Has this program log in once more in a process of its own, with new tickets in this file.
async fn log_in_elsewhere(file: &Path) -> Result<(), String> {
    remove(file).map_err(|error| format!("{} cannot be removed: {error}", file.display()))?;
    let mut words = std::env::args_os();
    // Not by the program's path: it may have been replaced by a newer one meanwhile.
    let mut command = std::process::Command::new("/proc/self/exe");
    command.arg0(words.next().unwrap_or_default()).args(words).arg(format!("--{LOG_IN_ONCE}"));
    let mut command = Command::from(command);
    command.env("KRB5CCNAME", cache_name(file)).env("LC_ALL", "C").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let output = time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| format!("there was no answer within {} seconds", PATIENCE.as_secs()))?;
    let output = output.map_err(|error| format!("this program cannot be started once more: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A file as the library names it.
pub(crate) fn cache_name(file: &Path) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from("FILE:");
    name.push(file);
    name
}

/// The child: logs in with the keytab and the file that its environment names.
pub(crate) fn log_in_once<C: Config>(name: &str, args: &DaemonArgs) -> ExitCode {
    let login = || {
        let config: C = config::load(&args.config_path(name)).map_err(|error| error.to_string())?;
        config.login().map_or(Ok(()), |login| (login.log_in)())
    };
    match login() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_are_given_up_when_the_kdc_says_no_to_this_principal_and_at_nothing_else() {
        let begin = "could not initiate GSSAPI security context: Unspecified GSS failure: ";
        for refusal in [
            "Client's credentials have been revoked while getting initial credentials",
            "Client 'web/host1@FARM.TEST' not found in Kerberos database",
            "Preauthentication failed while getting initial credentials",
        ] {
            assert!(is_refusal(&format!("{begin}{refusal}")), "{refusal}");
        }
        for other in [
            "Cannot contact any KDC for realm 'FARM.TEST'",
            "Server postgres/db@FARM.TEST not found in Kerberos database",
            "Clock skew too great",
            "connection to server at \"db\", port 5432 failed: Connection refused",
            "FATAL:  GSSAPI authentication failed for user \"farm_web\"",
            "there was no answer within 60 seconds",
        ] {
            assert!(!is_refusal(&format!("{begin}{other}")), "{other}");
        }
    }

    #[test]
    fn tickets_are_renewed_often_enough_for_whoever_was_shut_out_to_be_out_in_time() {
        let period = |seconds| Login::new(seconds, || Ok(())).period().as_secs();
        assert_eq!([600, 10, 1].map(period), [120, 2, 1]);
    }

    #[test]
    fn only_this_user_can_enter_the_folder_of_tickets_and_it_goes_in_the_end() {
        let tickets = Tickets::in_own_folder("farm-web").unwrap();
        let folder = tickets.file().parent().unwrap().to_owned();
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        drop(tickets);
        assert!(!folder.exists());
    }
}
