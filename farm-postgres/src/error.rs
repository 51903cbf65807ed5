//! Why there is no private PostgreSQL.

use std::{io, path::PathBuf};

/// Why a private PostgreSQL cannot be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The server programs are not installed.
    #[error(
        "PostgreSQL's server programs (initdb, postgres) are not installed{searched}: install the package postgresql \
         (Debian) or postgresql-server (Fedora)"
    )]
    NotInstalled {
        /// For which version was looked, as a phrase.
        searched: String,
    },
    /// The newest installed version is too old.
    #[error("PostgreSQL {found} in {} is too old: {oldest} or newer is needed", bindir.display())]
    TooOld {
        /// The version found.
        found: u32,
        /// Where.
        bindir: PathBuf,
        /// The oldest that will do.
        oldest: u32,
    },
    /// The data was made by a version that is not installed.
    #[error(
        "the database in {} was made by PostgreSQL {made_by}, and the installed one is {installed}: install PostgreSQL \
         {made_by}, or convert the database with pg_upgrade", data.display()
    )]
    OtherVersion {
        /// The data folder.
        data: PathBuf,
        /// The version that made it.
        made_by: u32,
        /// The version there is.
        installed: u32,
    },
    /// Another process uses this folder.
    #[error("another process uses the database in {}: stop it first", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// The socket's path would not fit into its 107 bytes.
    #[error("the path {} is too long for PostgreSQL's socket, by {excess} bytes: choose a folder with a shorter path", dir.display())]
    PathTooLong {
        /// The folder.
        dir: PathBuf,
        /// By how much.
        excess: usize,
    },
    /// The folder cannot be reached by the user that the server must run as.
    #[error(
        "PostgreSQL runs as the user {user}, who cannot reach {}: choose another folder, or let others pass \
         through the folders above it (chmod o+x)", dir.display()
    )]
    Unreachable {
        /// The folder.
        dir: PathBuf,
        /// The user.
        user: String,
    },
    /// Root, and no unprivileged user to run PostgreSQL as.
    #[error("PostgreSQL does not run as root, and the system has neither a user postgres nor a user nobody")]
    NoUser,
    /// The server ended or did not answer. Its last words say why.
    #[error("PostgreSQL in {} did not start{why}:\n{log}", dir.display())]
    NotStarted {
        /// The folder.
        dir: PathBuf,
        /// How it failed, as a phrase.
        why: String,
        /// The last lines of its log.
        log: String,
    },
    /// The server is still there after a long wait.
    #[error("PostgreSQL in {} did not stop within {seconds} seconds", dir.display())]
    NotStopped {
        /// The folder.
        dir: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// A base backup could not be taken.
    #[error("no copy of PostgreSQL's data could be made in {}: {said}", dir.display())]
    NotCopied {
        /// The folder of the copy.
        dir: PathBuf,
        /// What pg_basebackup says.
        said: String,
    },
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Names what was tried when the system refuses it.
pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> PostgresError {
    move |error| PostgresError::System { what, source: error.into() }
}
