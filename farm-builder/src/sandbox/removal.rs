//! Removes what builds and packages have left.

use std::{ffi::CString, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, fstat, openat, unlinkat},
    io::Errno,
};

use super::commands::rm;

/// Folders within folders that are removed here, each of which is an open file; of more, a program takes care.
const DEEPEST: usize = 100;

/// Removes a folder, if it is there, whoever has filled it. To start a program for that takes longer than most folders do.
pub fn remove(path: &Path) -> anyhow::Result<()> {
    if path.symlink_metadata().is_err() || remove_shallow(path).is_ok() {
        return Ok(());
    }
    rm(path)
}

/// A folder that is being emptied.
struct Open {
    dir: Dir,
    name: CString,
}

/// Removes a folder that is not deep. No link is followed, and nothing that is mounted in it is touched.
fn remove_shallow(path: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top: OwnedFd = openat(CWD, path, flags, Mode::empty())?;
    let device = fstat(&top)?.st_dev;
    let mut open = vec![Open { dir: Dir::new(top)?, name: CString::default() }];
    while let Some(folder) = open.last_mut() {
        let Some(entry) = folder.dir.next() else {
            let empty = open.pop().map(|folder| folder.name).unwrap_or_default();
            match open.last() {
                Some(parent) => unlinkat(parent.dir.fd()?, &empty, AtFlags::REMOVEDIR)?,
                None => unlinkat(CWD, path, AtFlags::REMOVEDIR)?,
            }
            continue;
        };
        let name = entry?.file_name().to_owned();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match unlinkat(folder.dir.fd()?, &name, AtFlags::empty()) {
            Ok(()) => continue,
            Err(Errno::ISDIR) => {}
            Err(error) => return Err(error),
        }
        let inner = openat(folder.dir.fd()?, &name, flags, Mode::empty())?;
        if open.len() == DEEPEST || fstat(&inner)?.st_dev != device {
            return Err(Errno::XDEV);
        }
        open.push(Open { dir: Dir::new(inner)?, name });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, path::PathBuf};

    use super::*;

    #[test]
    fn a_folder_goes_with_all_in_it_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, outside) = (dir.path().join("folder"), dir.path().join("outside"));
        fs_err::create_dir_all(folder.join("one/two")).unwrap();
        fs_err::create_dir(&outside).unwrap();
        fs_err::write(outside.join("file"), "stays").unwrap();
        for n in 0..2000 {
            fs_err::write(folder.join(format!("one/{n}")), "").unwrap();
        }
        symlink(&outside, folder.join("one/two/link")).unwrap();
        remove_shallow(&folder).unwrap();
        assert!(!folder.exists());
        assert_eq!(fs_err::read_to_string(outside.join("file")).unwrap(), "stays");
        remove(&folder).unwrap();
    }

    #[test]
    fn a_folder_of_any_depth_and_a_link_in_its_place_go_too() {
        let dir = tempfile::tempdir().unwrap();
        let deep: PathBuf = std::iter::repeat_n("x", 2 * DEEPEST).collect();
        fs_err::create_dir_all(dir.path().join("folder").join(deep)).unwrap();
        assert!(remove_shallow(&dir.path().join("folder")).is_err());
        remove(&dir.path().join("folder")).unwrap();
        symlink("/usr", dir.path().join("link")).unwrap();
        remove(&dir.path().join("link")).unwrap();
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
    }
}
