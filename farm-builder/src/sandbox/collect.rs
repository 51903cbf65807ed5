//! Picks packages out of a chroot that a build has left behind, and so out of a trap: links, FIFOs, devices, files of 100 TB with
//! nothing in them, names that move the cursor. Everything is opened beneath the chroot without following any link, and only
//! regular files with sane names and within the size limit are copied.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use farm_types::FileName;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};

use super::{
    Collect, Collection,
    scene::{folder, new_file},
};

/// More names than any real package has in a folder.
const MOST_NAMES: usize = 100_000;

/// What is left behind beyond so many files is only counted.
const MOST_REFUSED: usize = 100;

/// Where rpmbuild works in a chroot.
const TOP: &str = "builddir/build";

pub fn collect(
    upper: &Path,
    kind: Collect,
    into: &Path,
    most_bytes: u64,
    most_files: u32,
) -> anyhow::Result<Collection> {
    folder(into)?;
    let root = OwnedFd::from(fs_err::File::open(upper)?.into_file());
    let mut picker = Picker::new(root, into, most_bytes, most_files)?;
    picker.takes_sources = kind != Collect::Binaries;
    match kind {
        Collect::Source => picker.pick(&Path::new(TOP).join("SRPMS"), ".src.rpm")?,
        Collect::Requires => picker.pick(&Path::new(TOP).join("SRPMS"), ".buildreqs.nosrc.rpm")?,
        Collect::Binaries => {
            let top = Path::new(TOP).join("RPMS");
            for name in picker.names(&top)? {
                picker.pick(&top.join(name), ".rpm")?;
            }
            picker.pick(&top, ".rpm")?;
        }
    }
    Ok(picker.end())
}

/// The same with a folder that holds packages of both kinds, filled by a program that has them from a build.
pub(crate) fn collect_from(from: &Path, into: &Path, most_bytes: u64, most_files: u32) -> anyhow::Result<Collection> {
    folder(into)?;
    let root = OwnedFd::from(fs_err::File::open(from)?.into_file());
    let mut picker = Picker::new(root, into, most_bytes, most_files)?;
    picker.pick(Path::new("."), ".rpm")?;
    // What rpmbuild writes down of generated requirements is no result.
    for name in picker.collection.files.extract_if(.., |name| name.ends_with(".buildreqs.nosrc.rpm")) {
        fs_err::remove_file(into.join(name))?;
    }
    Ok(picker.end())
}

struct Picker<'a> {
    root: OwnedFd,
    into: &'a Path,
    room: u64,
    most_files: usize,
    /// Whether source packages are among what is looked for.
    takes_sources: bool,
    /// How many more were refused than are told.
    untold: usize,
    collection: Collection,
}

impl<'a> Picker<'a> {
    fn new(root: OwnedFd, into: &'a Path, room: u64, most_files: u32) -> anyhow::Result<Self> {
        let (most_files, collection) = (most_files.try_into()?, Collection::default());
        Ok(Self { root, into, room, most_files, takes_sources: true, untold: 0, collection })
    }

    fn end(mut self) -> Collection {
        if self.untold > 0 {
            self.collection.refused.push(format!("{} more", self.untold));
        }
        self.collection
    }

    /// Opens something beneath the chroot. Not to block on a FIFO costs nothing for a regular file.
    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
    }

    /// The names in a folder; none if it is no folder.
    fn names(&mut self, path: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let Ok(folder) = self.open(path, OFlags::DIRECTORY) else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder).context("cannot list a folder of the chroot")?.take(MOST_NAMES) {
            let name = entry.context("cannot list a folder of the chroot")?.file_name().to_bytes().to_vec();
            if !matches!(name.as_slice(), b"." | b"..") {
                names.push(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(name)));
            }
        }
        names.sort();
        Ok(names)
    }

    fn pick(&mut self, path: &Path, suffix: &str) -> anyhow::Result<()> {
        for name in self.names(path)? {
            let text = name.to_string_lossy().into_owned();
            if !text.ends_with(suffix) {
                continue;
            }
            match self.take(&path.join(&name), &text) {
                Ok(()) => self.collection.files.push(text),
                Err(Refusal::Package(_)) if self.collection.refused.len() >= MOST_REFUSED => self.untold += 1,
                Err(Refusal::Package(why)) => {
                    self.collection.refused.push(format!("{}: {why}", text.escape_debug()));
                }
                Err(Refusal::Farm(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, name: &str) -> Result<(), Refusal> {
        if name.parse::<FileName>().is_err() || path.file_name().is_none_or(|bytes| bytes != name) {
            return Err(Refusal::Package("not a sane name"));
        }
        if !self.takes_sources && (name.ends_with(".src.rpm") || name.ends_with(".nosrc.rpm")) {
            return Err(Refusal::Package("a source package among the binary ones"));
        }
        if self.collection.files.len() >= self.most_files {
            self.collection.too_many = true;
            return Err(Refusal::Package("too many files"));
        }
        let file = self
            .open(path, OFlags::empty())
            .map_err(|_| Refusal::Package("it cannot be opened without following a link"))?;
        let status = fstat(&file).map_err(|error| Refusal::Farm(error.into()))?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(Refusal::Package("not a regular file"));
        }
        let size = u64::try_from(status.st_size).unwrap_or(u64::MAX);
        if size > self.room {
            self.collection.too_large = true;
            return Err(Refusal::Package("too large"));
        }
        self.room -= size;
        let target = self.into.join(name);
        if target.symlink_metadata().is_ok() {
            return Err(Refusal::Package("the name is there twice"));
        }
        let mut copy = new_file(&target).map_err(Refusal::Farm)?;
        // No more than was counted, should it grow.
        io::copy(&mut File::from(file).take(size), &mut copy)
            .with_context(|| format!("cannot copy to {}", target.display()))
            .map_err(Refusal::Farm)?;
        Ok(())
    }
}

enum Refusal {
    Package(&'static str),
    Farm(anyhow::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_regular_files_with_sane_names_and_sizes_are_picked() {
        let chroot = tempfile::tempdir().unwrap();
        let rpms = chroot.path().join(TOP).join("RPMS/x86_64");
        fs_err::create_dir_all(&rpms).unwrap();
        fs_err::write(rpms.join("good-1-1.x86_64.rpm"), "good").unwrap();
        fs_err::write(rpms.join("bad\n.rpm"), "bad").unwrap();
        fs_err::write(rpms.join("-rf.rpm"), "bad").unwrap();
        fs_err::write(rpms.join("notes.txt"), "bad").unwrap();
        symlink("/etc/passwd", rpms.join("link.rpm")).unwrap();
        nix::unistd::mkfifo(&rpms.join("fifo.rpm"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        File::create(rpms.join("sparse.rpm")).unwrap().set_len(1 << 40).unwrap();
        symlink("/usr", chroot.path().join(TOP).join("RPMS/noarch")).unwrap();
        let into = chroot.path().join("into");

        let picked = collect(chroot.path(), Collect::Binaries, &into, 1 << 20, 9).unwrap();

        assert_eq!(picked.files, ["good-1-1.x86_64.rpm"]);
        assert_eq!(picked.refused.len(), 5, "{:?}", picked.refused);
        assert!(picked.too_large);
        assert_eq!(fs_err::read_dir(into).unwrap().count(), 1);
    }

    #[test]
    fn of_what_is_left_behind_a_hundred_are_named_and_source_packages_are_among_them() {
        let chroot = tempfile::tempdir().unwrap();
        let rpms = chroot.path().join(TOP).join("RPMS");
        fs_err::create_dir_all(&rpms).unwrap();
        for n in 0..105 {
            fs_err::write(rpms.join(format!("p-{n}.{}", if n == 0 { "nosrc.rpm" } else { "src.rpm" })), "p").unwrap();
        }
        let picked = collect(chroot.path(), Collect::Binaries, &chroot.path().join("into"), 1 << 20, 900).unwrap();
        assert_eq!((picked.files.len(), picked.refused.len()), (0, 101));
        assert_eq!(picked.refused[100], "5 more");
    }

    #[test]
    fn a_chroot_whose_folders_are_links_gives_nothing() {
        let chroot = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(chroot.path().join("builddir")).unwrap();
        symlink("/", chroot.path().join(TOP)).unwrap();
        let picked = collect(chroot.path(), Collect::Source, &chroot.path().join("into"), 1 << 20, 9).unwrap();
        assert_eq!(picked, Collection::default());
    }

    #[test]
    fn no_more_packages_are_picked_than_asked_for() {
        let chroot = tempfile::tempdir().unwrap();
        let rpms = chroot.path().join(TOP).join("RPMS/noarch");
        fs_err::create_dir_all(&rpms).unwrap();
        for n in 0..5 {
            fs_err::write(rpms.join(format!("p{n}.rpm")), "p").unwrap();
        }
        let picked = collect(chroot.path(), Collect::Binaries, &chroot.path().join("into"), 1 << 20, 3).unwrap();
        assert_eq!((picked.files.len(), picked.too_many), (3, true));
    }
}
