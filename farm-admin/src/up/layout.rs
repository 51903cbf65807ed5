//! The data folder of a farm that `up` runs.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use fs_err::os::unix::fs::OpenOptionsExt as _;

use crate::farm::FarmArgs;

/// ```text
/// DATA/
///   postgres/      the private PostgreSQL
///   store/         blobs
///   repositories/  what the publisher makes of buckets
///   spool/NAME/    what a daemon keeps on the way to the store
///   builder/       base trees, caches, chroots
///   etc/           the daemons' configurations, the builder's token, how an operator reaches the database
///   log/NAME.log   what the daemons say
///   url            where the farm is
/// ```
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    data: PathBuf,
}

impl Layout {
    /// The folder that was asked for, or the usual one.
    pub(crate) fn of(farm: &FarmArgs) -> anyhow::Result<Self> {
        let data = match &farm.data {
            Some(data) => std::path::absolute(data)?,
            None if nix::unistd::geteuid().is_root() => PathBuf::from("/var/lib/farm"),
            None => {
                let home =
                    std::env::var_os("HOME").context("HOME is not set; say where to keep the farm with --data DIR")?;
                PathBuf::from(home).join(".local/share/farm")
            }
        };
        Ok(Self { data })
    }

    /// Makes the folders. Builds run as other users, who must be able to reach their chroots and nothing else.
    pub(crate) fn make(&self) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        for (dir, mode) in [
            (self.data.clone(), 0o711),
            (self.postgres(), 0o700),
            (self.store(), 0o700),
            (self.repositories(), 0o755),
            (self.data.join("spool"), 0o700),
            (self.builder(), 0o711),
            (self.etc(), 0o700),
            (self.data.join("log"), 0o700),
        ] {
            let new = !dir.exists();
            fs_err::create_dir_all(&dir)?;
            if new {
                fs_err::set_permissions(&dir, std::fs::Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.data.join("postgres")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.data.join("store")
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.data.join("repositories")
    }

    pub(crate) fn spool(&self, daemon: &str) -> PathBuf {
        self.data.join("spool").join(daemon)
    }

    pub(crate) fn builder(&self) -> PathBuf {
        self.data.join("builder")
    }

    pub(crate) fn etc(&self) -> PathBuf {
        self.data.join("etc")
    }

    pub(crate) fn config(&self, daemon: &str) -> PathBuf {
        self.etc().join(format!("farm-{daemon}.toml"))
    }

    pub(crate) fn builder_token(&self) -> PathBuf {
        self.etc().join("builder.token")
    }

    pub(crate) fn log(&self, daemon: &str) -> PathBuf {
        self.data.join("log").join(format!("{daemon}.log"))
    }

    pub(crate) fn url_file(&self) -> PathBuf {
        self.data.join("url")
    }

    fn operator_file(&self) -> PathBuf {
        self.etc().join("operator-database")
    }

    /// Leaves word how an operator reaches the database.
    pub(crate) fn write_operator_conninfo(&self, conninfo: &str) -> anyhow::Result<()> {
        write_secret(&self.operator_file(), conninfo)
    }

    /// Leaves the builder its token.
    pub(crate) fn write_builder_token(&self, token: &str) -> anyhow::Result<()> {
        write_secret(&self.builder_token(), &format!("{token}\n"))
    }

    /// How an operator reaches the database.
    pub(crate) fn operator_conninfo(&self) -> anyhow::Result<String> {
        match fs_err::read_to_string(self.operator_file()) {
            Ok(conninfo) => Ok(conninfo.trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "there is no farm in {}; start one with `farm-admin up`, or name its folder with --data DIR or its database with --database",
                self.data.display()
            ),
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes a file that nobody but the farm can read, whole or not at all.
pub(crate) fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let aside = path.with_extension("new");
    let mut file = fs_err::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    Ok(fs_err::rename(aside, path)?)
}
