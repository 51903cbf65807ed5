//! What has served its time: public files that the newest metadata does not name any more.
//!
//! They stay for a while, because whoever read the old repomd.xml asks for them next. Since when they are not needed is the
//! age of an empty file of the same name. It is made after the new metadata is public and removed before metadata is
//! public that names the file again, so a publisher that dies in between keeps something for longer, never for shorter.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::folder::{Folder, names};

/// A public folder whose entries come and go.
#[derive(Debug, Clone)]
pub(crate) struct Retired {
    public: PathBuf,
    marks: PathBuf,
}

impl Retired {
    /// Packages: an entry is a folder, named by a digest.
    pub(crate) fn packages(folder: &Folder) -> Self {
        Self::new(folder, "packages")
    }

    /// Metadata: an entry is a file.
    pub(crate) fn metadata(folder: &Folder) -> Self {
        Self::new(folder, "repodata")
    }

    fn new(folder: &Folder, name: &str) -> Self {
        Self { public: folder.public.join(name), marks: folder.private.join("retired").join(name) }
    }

    /// These are about to be needed.
    pub(crate) fn restore(&self, needed: &HashSet<String>) -> io::Result<()> {
        for name in names(&self.marks)? {
            if needed.contains(&name) {
                fs_err::remove_file(self.marks.join(name))?;
            }
        }
        Ok(())
    }

    /// From now on nothing but these is needed.
    pub(crate) fn retire_others(&self, needed: &HashSet<String>) -> io::Result<()> {
        fs_err::create_dir_all(&self.marks)?;
        for name in names(&self.public)? {
            if !needed.contains(&name) {
                // One that is there keeps its age.
                fs_err::OpenOptions::new().create(true).append(true).open(self.marks.join(name))?;
            }
        }
        Ok(())
    }

    /// Removes what has not been needed for so long. Answers how much that was.
    pub(crate) fn remove_older_than(&self, grace: Duration) -> io::Result<u64> {
        let mut removed = 0;
        for name in names(&self.marks)? {
            let mark = self.marks.join(&name);
            let age = fs_err::metadata(&mark)?.modified()?.elapsed().unwrap_or_default();
            if age >= grace {
                remove(&self.public.join(&name))?;
                fs_err::remove_file(mark)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs_err::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs_err::remove_dir_all(path),
        Ok(_) => fs_err::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (tempfile::TempDir, Retired) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder { public: dir.path().join("public"), private: dir.path().join("private") };
        for name in ["old", "new"] {
            fs_err::create_dir_all(folder.public.join("packages").join(name)).unwrap();
        }
        let retired = Retired::packages(&folder);
        (dir, retired)
    }

    fn set(names: &[&str]) -> HashSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn present(retired: &Retired) -> HashSet<String> {
        names(&retired.public).unwrap().into_iter().collect()
    }

    #[test]
    fn what_is_not_needed_stays_for_the_grace_and_then_goes() {
        let (_dir, retired) = sample();
        retired.retire_others(&set(&["new"])).unwrap();
        assert_eq!(retired.remove_older_than(Duration::from_secs(3600)).unwrap(), 0);
        assert_eq!(present(&retired), set(&["old", "new"]));
        assert_eq!(retired.remove_older_than(Duration::ZERO).unwrap(), 1);
        assert_eq!(present(&retired), set(&["new"]));
        assert_eq!(retired.remove_older_than(Duration::ZERO).unwrap(), 0);
    }

    #[test]
    fn what_is_needed_again_stays() {
        let (_dir, retired) = sample();
        retired.retire_others(&set(&["new"])).unwrap();
        retired.restore(&set(&["new", "old"])).unwrap();
        assert_eq!(retired.remove_older_than(Duration::ZERO).unwrap(), 0);
        assert_eq!(present(&retired), set(&["old", "new"]));
    }

    #[test]
    fn what_is_retired_twice_keeps_its_age() {
        let (_dir, retired) = sample();
        retired.retire_others(&set(&["new"])).unwrap();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
        fs_err::File::options().write(true).open(retired.marks.join("old")).unwrap().set_modified(long_ago).unwrap();
        retired.retire_others(&set(&["new"])).unwrap();
        assert_eq!(retired.remove_older_than(Duration::from_secs(3600)).unwrap(), 1);
    }
}
