//! Whom files belong to: the daemon, or the root of its namespaces. (Only where the daemon is root are these two.)

use std::{
    fs::Permissions,
    io,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
};

use nix::unistd::{getegid, geteuid};

/// Makes a folder for the root of the namespaces: helpers may write there and remove everything in it.
pub fn helpers_folder(path: &Path, root: (u32, u32)) -> io::Result<()> {
    fs_err::create_dir_all(path)?;
    fs_err::set_permissions(path, Permissions::from_mode(0o755))?;
    if geteuid().is_root() {
        chown(path, Some(root.0), Some(root.1))?;
    }
    Ok(())
}

/// Makes a file that a helper has made the daemon's own.
pub fn own(path: &Path) -> io::Result<()> {
    if geteuid().is_root() {
        chown(path, Some(0), Some(getegid().as_raw()))?;
    }
    Ok(())
}

/// Lets helpers read a file of the daemon's.
pub fn let_read(path: &Path) -> io::Result<()> {
    fs_err::set_permissions(path, Permissions::from_mode(0o644))
}

/// The path of something that belongs to what lies at `path`.
pub fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}
