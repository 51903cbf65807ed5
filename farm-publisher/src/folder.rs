//! The folder of one repository.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use farm_db::publish::Repository;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tempfile::TempDir;

/// What is not public. No bucket is called that: their names begin with a letter or digit.
const PRIVATE: &str = ".publisher";
/// What a run makes is in a folder that begins so.
const RUN: &str = "run-";

/// Where a repository is, and where the publisher works on it.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    /// The repository.
    pub public: PathBuf,
    /// What belongs to the publisher; on the same file system, so that things are renamed into the repository.
    pub private: PathBuf,
}

/// The right to change a repository. It ends when this is dropped, also by the death of the process.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "it is locked as long as it is open")] fs_err::File);

impl Folder {
    pub(crate) fn new(root: &Path, repository: &Repository) -> Self {
        let place = Path::new(repository.bucket.as_str()).join(repository.platform.as_str());
        Self { public: root.join(&place), private: root.join(PRIVATE).join(place) }
    }

    /// All that a publisher ever worked on.
    pub(crate) fn all(root: &Path) -> std::io::Result<Vec<Self>> {
        let mut all = Vec::new();
        for bucket in names(&root.join(PRIVATE))? {
            for platform in names(&root.join(PRIVATE).join(&bucket))? {
                let place = Path::new(&bucket).join(platform);
                all.push(Self { public: root.join(&place), private: root.join(PRIVATE).join(place) });
            }
        }
        Ok(all)
    }

    /// Takes the repository for the caller alone. `None`: another publisher is at work on it.
    ///
    /// The lock is on the folder and not in the database, because it is the folder that two must not change: a publisher
    /// that lost the database is still writing.
    pub(crate) fn lock(&self) -> anyhow::Result<Option<Lock>> {
        fs_err::create_dir_all(&self.private)?;
        let file = fs_err::OpenOptions::new().create(true).append(true).open(self.private.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot lock {}", self.private.display())),
        }
    }

    /// Makes room for a run, and clears away what runs left that were killed. The folder goes with the value.
    pub(crate) fn begin_run(&self) -> anyhow::Result<TempDir> {
        for name in names(&self.private)? {
            if name.starts_with(RUN) {
                fs_err::remove_dir_all(self.private.join(name))?;
            }
        }
        for dir in [self.public.join("packages"), self.public.join("repodata")] {
            fs_err::create_dir_all(dir)?;
        }
        let run = tempfile::Builder::new().prefix(RUN).tempdir_in(&self.private);
        run.with_context(|| format!("cannot make a folder in {}", self.private.display()))
    }

    /// What dnf reads first, and the only public file that changes.
    pub(crate) fn repomd(&self) -> PathBuf {
        self.public.join("repodata/repomd.xml")
    }
}

/// What is in a folder; nothing, if there is no such folder. Names that are no text are nobody's here.
pub(crate) fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    match fs_err::read_dir(dir) {
        Ok(entries) => {
            let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
            names.filter_map(Result::transpose).collect()
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
