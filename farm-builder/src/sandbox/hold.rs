//! The helper that stays as long as a build: its namespaces hold the file system that takes what the build writes, and it knows
//! how much that is.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process,
    sync::mpsc,
    thread,
};

use anyhow::Context as _;
use nix::{
    mount::{MsFlags, mount},
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        statvfs::{Statvfs, fstatvfs, statvfs},
    },
};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, XattrFlags, openat, setxattr, statat};

use super::{Answer, Scratch, Use, scene::folder, tell};

/// Folders within folders that are counted at the most. Each costs an open file; no configure test goes beyond a thousand.
const DEEPEST: usize = 20_000;

/// Mounts what is asked for and says that it is there; then answers every line with what it holds, until the daemon hangs up.
pub fn hold(socket: &UnixStream, place: &Path, scratch: Scratch, build: Option<&Path>) -> anyhow::Result<()> {
    if let Err(error) = prepare(place, scratch) {
        return tell(socket, &Answer::Broken(format!("{error:#}")));
    }
    tell(socket, &Answer::Done)?;
    let (ask, asked) = mpsc::channel();
    let lines = BufReader::new(socket.try_clone()?);
    // A thread of its own, since to count may take long, and the daemon's hanging up ends everything at once.
    thread::spawn(move || {
        for line in lines.lines() {
            if line.is_err() || ask.send(()).is_err() {
                break;
            }
        }
        process::exit(0);
    });
    for () in asked {
        let answer = match measure(place, scratch, build) {
            Ok(used) => Answer::Use(used),
            Err(error) => Answer::Broken(format!("{error:#}")),
        };
        tell(socket, &answer)?;
    }
    Ok(())
}

fn prepare(place: &Path, scratch: Scratch) -> anyhow::Result<()> {
    folder(place)?;
    let Scratch::Memory { bytes, files } = scratch else { return Ok(()) };
    let options = format!("mode=755,size={bytes},nr_inodes={files}");
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options.as_str()))
        .context("cannot mount a file system in memory")?;
    setxattr(place, "user.farm", b"y", XattrFlags::empty())
        .context("a file system in memory cannot take what an overlay needs; Linux 6.6 or newer is needed")
}

fn measure(place: &Path, scratch: Scratch, build: Option<&Path>) -> anyhow::Result<Use> {
    let root = OwnedFd::from(fs_err::File::open(place)?.into_file());
    let system = fstatvfs(&root)?;
    let disk = build.map(statvfs).transpose()?.unwrap_or(system);
    let (_, files) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, files, files)?;
    let deepest = usize::try_from(files).unwrap_or(DEEPEST).saturating_sub(50).min(DEEPEST);
    let mut count = Count { used: Use::default(), deepest, linked: HashSet::new() };
    match scratch {
        Scratch::Memory { .. } => count.used = of_system(&system),
        Scratch::Disk => count.folder(root)?,
    }
    // Layers are made on the disk, wherever the rest is, by scriptlets of packages.
    for layer in build.map(layers).transpose()?.unwrap_or_default() {
        // One that others may use lies elsewhere by now.
        if let Ok(folder) = fs_err::File::open(layer) {
            count.folder(OwnedFd::from(folder.into_file()))?;
        }
    }
    Ok(Use { free_bytes: disk.blocks_available() * disk.fragment_size(), ..count.used })
}

fn of_system(system: &Statvfs) -> Use {
    let bytes = (system.blocks() - system.blocks_free()) * system.fragment_size();
    Use { bytes, files: system.files() - system.files_free(), free_bytes: 0 }
}

/// The layers in a build's folder.
fn layers(build: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut layers = Vec::new();
    for entry in fs_err::read_dir(build)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b"layer-") {
            layers.push(entry.path());
        }
    }
    Ok(layers)
}

/// Adds up a folder in which everything may change meanwhile.
struct Count {
    used: Use,
    /// Folders within folders that may be open at once.
    deepest: usize,
    /// Files of several names that were counted.
    linked: HashSet<u64>,
}

impl Count {
    fn folder(&mut self, top: OwnedFd) -> anyhow::Result<()> {
        let mut open = vec![Dir::new(top)?];
        while let Some(dir) = open.last_mut() {
            let Some(entry) = dir.next() else {
                open.pop();
                continue;
            };
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            // What is gone since counts nothing.
            let Ok(status) = statat(dir.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if status.st_nlink > 1
                && FileType::from_raw_mode(status.st_mode) != FileType::Directory
                && !self.linked.insert(status.st_ino)
            {
                continue;
            }
            self.used.files += 1;
            self.used.bytes += u64::try_from(status.st_blocks).unwrap_or_default() * 512;
            if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
                let deepest = self.deepest;
                anyhow::ensure!(
                    open.len() < deepest,
                    "the build has made more than {deepest} folders within each other"
                );
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                if let Some(dir) = open.last_mut()
                    && let Ok(inner) = openat(dir.fd()?, name, flags, Mode::empty())
                {
                    open.push(Dir::new(inner)?);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_file_counts_once_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("one/two");
        fs_err::create_dir_all(&inner).unwrap();
        fs_err::write(inner.join("file"), vec![1; 100_000]).unwrap();
        fs_err::hard_link(inner.join("file"), folder.path().join("same")).unwrap();
        symlink("/usr", folder.path().join("link")).unwrap();
        let used = measure(folder.path(), Scratch::Disk, None).unwrap();
        assert_eq!(used.files, 4);
        assert!((100_000..200_000).contains(&used.bytes) && used.free_bytes > 0, "{used:?}");
    }

    #[test]
    fn the_layers_of_a_build_count_wherever_its_scratch_is() {
        let build = tempfile::tempdir().unwrap();
        for folder in ["scratch", "layer-1/upper", "in"] {
            fs_err::create_dir_all(build.path().join(folder)).unwrap();
        }
        fs_err::write(build.path().join("layer-1/upper/file"), vec![1; 100_000]).unwrap();
        fs_err::write(build.path().join("in/file"), vec![1; 500_000]).unwrap();
        let used = measure(&build.path().join("scratch"), Scratch::Disk, Some(build.path())).unwrap();
        assert_eq!(used.files, 2);
        assert!((100_000..200_000).contains(&used.bytes) && used.free_bytes > 0, "{used:?}");
    }

    #[test]
    fn folders_without_end_are_refused_and_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let deep: std::path::PathBuf = std::iter::repeat_n("x", 12).collect();
        fs_err::create_dir_all(folder.path().join(deep)).unwrap();
        let count = |deepest| {
            let root = OwnedFd::from(fs_err::File::open(folder.path()).unwrap().into_file());
            let mut count = Count { used: Use::default(), deepest, linked: HashSet::new() };
            count.folder(root).map(|()| count.used.files)
        };
        assert_eq!(count(13).unwrap(), 12);
        let error = count(10).unwrap_err();
        assert!(error.to_string().contains("within each other"), "{error}");
    }
}
