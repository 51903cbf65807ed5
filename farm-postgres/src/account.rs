//! The user that the server runs as: PostgreSQL refuses to be root.

use std::{
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
};

use nix::unistd::{Uid, User};

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
