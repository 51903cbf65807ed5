//! The user that the server runs as: PostgreSQL refuses to be root.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        fs::{OpenOptionsExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Stdio},
};

use nix::unistd::{Uid, User};
use rustix::fs::OFlags;

use crate::{PostgresError, error::system};

/// Whom to become, if anyone.
#[derive(Debug, Clone)]
pub(crate) struct Account(Option<User>);

impl Account {
    /// The present user, or an unprivileged one if that is root.
    pub(crate) fn choose() -> Result<Self, PostgresError> {
        if !Uid::effective().is_root() {
            return Ok(Self(None));
        }
        for name in ["postgres", "nobody"] {
            let user = User::from_name(name).map_err(system("cannot read the list of users"))?;
            if user.is_some() {
                return Ok(Self(user));
            }
        }
        Err(PostgresError::NoUser)
    }

    /// A command that runs as this user, with an empty environment: no PG* variable of the caller reaches the server.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // The folder of the caller may be closed to the user.
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
        if let Self(Some(user)) = self {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    /// Makes the folder, if need be, the user's own and closed to others.
    pub(crate) fn own(&self, dir: &Path) -> Result<(), PostgresError> {
        fs_err::create_dir_all(dir).map_err(system("cannot make the folder for PostgreSQL"))?;
        if let Self(Some(user)) = self {
            std::os::unix::fs::chown(dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .map_err(system("cannot give the folder to PostgreSQL's user"))?;
        }
        fs_err::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
            .map_err(system("cannot close the folder of PostgreSQL to others"))?;
        self.reach(dir)
    }

    /// Writes a file that this user alone can read, beside the server's.
    pub(crate) fn give(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = open_beside_server(File::options().write(true).truncate(true).mode(0o600), path)?;
        if let Self(Some(user)) = self {
            std::os::unix::fs::fchown(&file, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        file.write_all(content)
    }

    /// Adds to a file that is the user's own.
    pub(crate) fn append(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        open_beside_server(File::options().append(true), path)?.write_all(content)
    }

    /// Whether the user can get there through the folders above.
    fn reach(&self, dir: &Path) -> Result<(), PostgresError> {
        let Self(Some(user)) = self else { return Ok(()) };
        let status = self
            .command("/bin/sh")
            .args(["-c", "cd -- \"$1\"", "sh"])
            .arg(dir)
            .stderr(Stdio::null())
            .status()
            .map_err(system("cannot run /bin/sh"))?;
        if status.success() {
            return Ok(());
        }
        Err(PostgresError::Unreachable { dir: dir.to_owned(), user: user.name.clone() })
    }
}

/// Opens a file of ours in the server's folder, which may belong to a lesser user: no link of theirs leads us elsewhere.
pub(crate) fn open_beside_server(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.create(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}
