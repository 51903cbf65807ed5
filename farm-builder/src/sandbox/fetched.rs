//! What dnf has fetched for a base tree, which belongs to all builds on it.
//!
//! dnf's own locks name processes, so they mean nothing to a dnf in another process namespace: whoever fetches has a lock of the
//! folder. Nobody has it while packages are installed, since their scriptlets may take as long as they like: an installation goes by
//! links to the files, to which nobody adds.

use std::{fs::File, path::Path};

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};

use super::commands::link;

/// The right to fetch, until dropped.
pub struct Turn {
    _lock: Flock<File>,
}

impl Turn {
    /// Waits for it.
    pub fn wait(cache: &Path) -> anyhow::Result<Self> {
        let folder = fs_err::File::open(cache)?.into_file();
        let lock = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, error)| error);
        Ok(Self { _lock: lock.with_context(|| format!("cannot lock {}", cache.display()))? })
    }

    /// Links all that is fetched by now into a new folder.
    pub fn link(&self, cache: &Path, links: &Path) -> anyhow::Result<()> {
        link(cache, links)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn whoever_fetches_keeps_others_from_it_and_a_copy_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, links) = (dir.path().join("cache"), dir.path().join("links"));
        fs_err::create_dir_all(cache.join("base/packages")).unwrap();
        fs_err::write(cache.join("base/packages/one.rpm"), "one").unwrap();
        let turn = Turn::wait(&cache).unwrap();
        let (other, sender) = (cache.clone(), mpsc::channel());
        let (had, turns) = sender;
        let waiting = std::thread::spawn(move || {
            let _turn = Turn::wait(&other).unwrap();
            had.send(()).unwrap();
        });
        turn.link(&cache, &links).unwrap();
        assert!(turns.try_recv().is_err());
        drop(turn);
        waiting.join().unwrap();
        turns.recv().unwrap();
        fs_err::write(cache.join("base/packages/two.rpm"), "two").unwrap();
        assert_eq!(fs_err::read_dir(links.join("base/packages")).unwrap().count(), 1);
        assert_eq!(fs_err::read_to_string(links.join("base/packages/one.rpm")).unwrap(), "one");
    }
}
