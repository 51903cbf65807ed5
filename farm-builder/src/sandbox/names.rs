//! How names of hosts are resolved: for builds that may use the network, as this host does it.

use std::{
    io::{self, Write as _},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, ResolveFlags, openat, openat2, unlinkat},
    io::Errno,
};

/// What the resolver reads. What a chroot has in `nsswitch.conf` is its own: that names libraries which must be there.
const FILES: [&str; 2] = ["resolv.conf", "hosts"];

/// Gives a chroot the files by which this host resolves names. They are copies, so that nothing a build does to them comes back.
///
/// The chroot may be a trap already, set by a package that was installed into it: no link in it is followed.
pub fn as_here(chroot: &Path) -> io::Result<()> {
    let root = OwnedFd::from(fs_err::File::open(chroot)?.into_file());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let etc = openat2(&root, "etc", flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?;
    for name in FILES {
        match fs_err::read(Path::new("/etc").join(name)) {
            Ok(text) => replace(&etc, name, &text)?,
            // Then the chroot keeps what it has.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts a new file in the place of whatever has that name.
fn replace(folder: impl AsFd, name: &str, text: &[u8]) -> io::Result<()> {
    match unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(&folder, name, flags, Mode::from_raw_mode(0o644))?;
    std::fs::File::from(file).write_all(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_there_is_replaced_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (chroot, outside) = (dir.path().join("chroot"), dir.path().join("outside"));
        fs_err::create_dir_all(chroot.join("etc")).unwrap();
        fs_err::write(&outside, "untouched").unwrap();
        symlink(&outside, chroot.join("etc/hosts")).unwrap();
        symlink("/nowhere", chroot.join("etc/resolv.conf")).unwrap();
        as_here(&chroot).unwrap();
        for name in ["hosts", "resolv.conf"].iter().filter(|name| Path::new("/etc").join(name).exists()) {
            let (there, here) = (chroot.join("etc").join(name), Path::new("/etc").join(name));
            assert!(there.symlink_metadata().unwrap().is_file(), "{name}");
            assert_eq!(fs_err::read(there).unwrap(), fs_err::read(here).unwrap(), "{name}");
        }
        assert_eq!(fs_err::read_to_string(outside).unwrap(), "untouched");
    }

    #[test]
    fn a_folder_that_leads_elsewhere_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (chroot, outside) = (dir.path().join("chroot"), dir.path().join("outside"));
        fs_err::create_dir_all(&chroot).unwrap();
        fs_err::create_dir_all(&outside).unwrap();
        symlink(&outside, chroot.join("etc")).unwrap();
        as_here(&chroot).unwrap_err();
        assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 0);
    }
}
