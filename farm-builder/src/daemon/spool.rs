//! The folder of one life of the daemon: sources, logs and results on their way.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use farm_types::BuilderName;
use nix::fcntl::Flock;
use uuid::Uuid;

use crate::native::{files::beside, locks::try_lock};

/// The folder; removed when this is dropped. A lock beside it says that the daemon lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Folder {
    /// A new one, after what earlier lives left is removed. (Their leases end with the next hello, so nothing of it is of use.) That of a
    /// predecessor at work stays.
    pub fn open(data: &Path, name: &BuilderName, instance: Uuid) -> io::Result<Self> {
        let all = data.join("spool").join(name.as_str());
        fs_err::create_dir_all(&all)?;
        for entry in fs_err::read_dir(&all)? {
            let path = entry?.path();
            let life = if path.extension().is_some_and(|end| end == "lock") { path.with_extension("") } else { path };
            let Some(_lock) = try_lock(&beside(&life, "lock"))? else { continue };
            remove(&life)?;
            remove_file(&beside(&life, "lock"))?;
        }
        let path = all.join(instance.to_string());
        let lock = try_lock(&beside(&path, "lock"))?.ok_or_else(|| io::Error::other("another process has it"))?;
        fs_err::create_dir(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path).and_then(|()| remove_file(&beside(&self.path, "lock"))) {
            tracing::warn!(%error, "a folder stays behind until the next start");
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    unless_gone(fs_err::remove_dir_all(folder))
}

fn remove_file(file: &Path) -> io::Result<()> {
    unless_gone(fs_err::remove_file(file))
}

fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_life_left_is_removed_and_what_a_living_one_has_is_not() {
        let data = tempfile::tempdir().unwrap();
        let name: BuilderName = "b1".parse().unwrap();
        let open = || Folder::open(data.path(), &name, Uuid::new_v4()).unwrap();
        let dead = data.path().join("spool/b1/42-1");
        fs_err::create_dir_all(&dead).unwrap();
        let first = open();
        assert!(!dead.exists());
        fs_err::write(first.path().join("log"), "a line").unwrap();
        let second = open();
        assert!(first.path().join("log").exists() && second.path().exists());
        drop((first, second));
        assert_eq!(fs_err::read_dir(data.path().join("spool/b1")).unwrap().count(), 0);
    }
}
