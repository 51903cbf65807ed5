//! What is kept for further builds, base trees and layers: how much it is, and what goes when it is too much.
//!
//! `trees/TREE` is a base tree, `layers/TREE/LAYER` a layer over it. A tree that goes takes its layers along: whoever uses a layer uses
//! its tree, so neither is in use then, and a tree is never the older one of the two.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use farm_types::Digest;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    attempt::farm_clock, failure::End, files::beside, helper::Helpers, locks::Use, numbers, trees, watch::Journal,
};

/// Written into what has reached the disk as a whole: what a power cut has left halfway lacks it.
const WHOLE: &str = "whole";

/// Less than this on the disk is too little to keep what nobody uses.
const SHORT: u64 = 2 << 30;

/// Unless the operator says otherwise: no more than this, and no more than a quarter of the disk.
const USUAL: u64 = 20 << 30;

/// How often to look whether it is too much. (It is looked at, too, whenever something was made.)
const PERIOD: Duration = Duration::from_secs(60);

/// Base trees and layers below a data folder.
#[derive(Debug)]
pub struct Stock {
    helpers: Helpers,
    most_bytes: u64,
    room: Room,
    grown: Notify,
}

/// What has to be free on the disk for the builder to take tasks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Files that can still be made.
    pub files: u64,
}

/// A base tree or layer.
#[derive(Debug, Clone)]
struct Kept {
    /// Relative to the data folder.
    path: PathBuf,
    is_layer: bool,
    bytes: u64,
    used: SystemTime,
}

impl Kept {
    /// The folder that names its tree.
    fn tree(&self) -> Option<&OsStr> {
        let of_tree = if self.is_layer { self.path.parent()? } else { &self.path };
        of_tree.file_name()
    }

    /// Whether it is gone when another one is.
    fn goes_with(&self, other: &Self) -> bool {
        self.path == other.path || (self.is_layer && !other.is_layer && self.tree() == other.tree())
    }
}

/// A tree takes its layers along, so it was used when they were.
fn as_old_as_their_layers(all: &mut [Kept]) {
    let mut last: HashMap<OsString, SystemTime> = HashMap::new();
    for layer in all.iter().filter(|kept| kept.is_layer) {
        let used = last.entry(layer.tree().unwrap_or_default().to_owned()).or_insert(layer.used);
        *used = layer.used.max(*used);
    }
    for tree in all.iter_mut().filter(|kept| !kept.is_layer) {
        let of_layers = tree.tree().and_then(|name| last.get(name)).copied();
        tree.used = of_layers.map_or(tree.used, |used| used.max(tree.used));
    }
}

/// A quarter more, so that something goes before the builder stops taking tasks.
fn with_margin(needed: u64) -> u64 {
    needed.saturating_add(needed / 4)
}

impl Stock {
    /// What is kept in the helpers' data folder; no more than so many bytes, and so that there is room beside it.
    pub fn new(helpers: Helpers, most_bytes: Option<u64>, room: Room) -> Self {
        let most_bytes = most_bytes.unwrap_or_else(|| {
            let quarter =
                rustix::fs::statvfs(&helpers.data).map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize) / 4);
            quarter.unwrap_or(USUAL).min(USUAL)
        });
        Self { helpers, most_bytes, room, grown: Notify::new() }
    }

    /// Keeps the stock within its limits, for ever.
    pub async fn keep_tidy(self: Arc<Self>) {
        loop {
            if let Err(error) = self.tidy().await {
                tracing::error!(%error, "base trees and layers cannot be looked after; look at the builder's disk");
            }
            let _ = tokio::time::timeout(PERIOD, self.grown.notified()).await;
        }
    }

    /// Makes something that was just made, and that `used` keeps, outlive a power cut. Nobody waits for that.
    pub fn settle(self: &Arc<Self>, path: &Path, used: Use) {
        let (stock, path) = (Arc::clone(self), self.helpers.data.join(path));
        tokio::task::spawn_blocking(move || {
            let _used = used;
            let folder = fs_err::File::open(&path).map(fs_err::File::into_file);
            let written = folder.and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
            if let Err(error) = written.and_then(|()| fs_err::write(path.join(WHOLE), "")) {
                tracing::warn!(path = %path.display(), %error, "something made for further builds is kept until the next start only");
            }
            stock.grown.notify_one();
        });
    }

    /// Removes what an earlier life left half made, half written or half removed.
    pub async fn clean(&self) -> io::Result<()> {
        for kept in self.all()? {
            if !self.helpers.data.join(&kept.path).join(WHOLE).exists() && self.evict(&kept).await? {
                tracing::info!(path = %kept.path.display(), "removed what may not have reached the disk");
            }
        }
        for (path, _) in entries(&self.helpers.data, Path::new("gone"))? {
            self.remove(&path).await;
        }
        Ok(())
    }

    /// Evicts what was used least recently and is not in use, until the rest is within the limits.
    async fn tidy(&self) -> io::Result<()> {
        let mut all = self.all()?;
        as_old_as_their_layers(&mut all);
        all.sort_by_key(|kept| (kept.used, !kept.is_layer));
        let mut bytes: u64 = all.iter().map(|kept| kept.bytes).sum();
        let mut gone: Vec<PathBuf> = Vec::new();
        for kept in &all {
            // With its tree.
            if gone.contains(&kept.path) {
                continue;
            }
            if bytes <= self.most_bytes && !self.is_short() {
                break;
            }
            if self.evict(kept).await? {
                tracing::info!(path = %kept.path.display(), bytes = kept.bytes, "evicted what was used least recently");
                numbers::evicted();
                for kept in all.iter().filter(|other| other.goes_with(kept)) {
                    bytes = bytes.saturating_sub(kept.bytes);
                    gone.push(kept.path.clone());
                }
            }
        }
        all.retain(|kept| !gone.contains(&kept.path));
        for (is_layer, kind) in [(false, "tree"), (true, "layer")] {
            let of_kind = all.iter().filter(|kept| kept.is_layer == is_layer);
            numbers::kept(kind, of_kind.clone().count(), of_kind.map(|kept| kept.bytes).sum());
        }
        Ok(())
    }

    fn is_short(&self) -> bool {
        let Ok(disk) = rustix::fs::statvfs(&self.helpers.data) else { return false };
        // A file system that makes inodes as they are needed counts none.
        let is_short_of_files = disk.f_files > 0 && disk.f_favail < with_margin(self.room.files);
        is_short_of_files || disk.f_bavail.saturating_mul(disk.f_frsize) < SHORT.max(with_margin(self.room.bytes))
    }

    fn all(&self) -> io::Result<Vec<Kept>> {
        let data = &self.helpers.data;
        let mut all = Vec::new();
        for (path, _) in digests(data, Path::new("trees"))? {
            all.push(self.kept(path, false));
        }
        for (shelf, _) in digests(data, Path::new("layers"))? {
            for (path, _) in digests(data, &shelf)? {
                all.push(self.kept(path, true));
            }
        }
        Ok(all)
    }

    fn kept(&self, path: PathBuf, is_layer: bool) -> Kept {
        let whole = self.helpers.data.join(&path);
        let made = fs_err::read_to_string(whole.join("size")).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let bytes = made + if is_layer { 0 } else { bytes_of_files(&whole.join("cache")) };
        Kept { is_layer, bytes, used: Use::last(&whole), path }
    }

    /// Removes one; false if it is in use.
    async fn evict(&self, kept: &Kept) -> io::Result<bool> {
        let path = self.helpers.data.join(&kept.path);
        let Some(lock) = Use::of_nobody(&path)? else { return Ok(false) };
        let mut away = vec![kept.path.clone()];
        if let Some(name) = kept.path.file_name().filter(|_| !kept.is_layer) {
            away.push(Path::new("layers").join(name));
        }
        let mut gone = Vec::new();
        for path in away {
            let name = Path::new("gone").join(Uuid::new_v4().to_string());
            match fs_err::rename(self.helpers.data.join(path), self.helpers.data.join(&name)) {
                Ok(()) => gone.push(name),
                // Another builder was quicker, or there are no layers.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        fs_err::remove_file(beside(&path, "use"))?;
        drop(lock);
        for path in gone {
            self.remove(&path).await;
        }
        Ok(true)
    }

    async fn remove(&self, path: &Path) {
        let (events, _) = mpsc::channel(1);
        let mut journal = Journal::new(events, u64::MAX);
        let clock = farm_clock(&CancellationToken::new());
        if let Err(End::Fault(error)) = trees::remove(&self.helpers, path, &mut journal, &clock).await {
            tracing::warn!(%error, "something that was evicted stays behind until the next start");
        }
    }
}

/// What is in a folder: paths relative to the data folder, and names.
fn entries(data: &Path, folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let listing = match fs_err::read_dir(data.join(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        listing => listing?,
    };
    for entry in listing {
        if let Ok(name) = entry?.file_name().into_string() {
            found.push((folder.join(&name), name));
        }
    }
    Ok(found)
}

/// What is in a folder and named by a digest.
fn digests(data: &Path, folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = entries(data, folder)?;
    found.retain(|(_, name)| name.parse::<Digest>().is_ok());
    Ok(found)
}

/// Bytes of the files below a folder that can be seen.
fn bytes_of_files(folder: &Path) -> u64 {
    let (mut bytes, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(status) if status.is_dir() => folders.push(entry.path()),
                Ok(status) => bytes += status.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_as_old_as_the_newest_of_its_layers_and_takes_them_along() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let kept = |path: &str, is_layer, used| Kept { path: path.into(), is_layer, bytes: 1, used: at(used) };
        let mut all = [
            kept("trees/1", false, 5),
            kept("layers/1/a", true, 9),
            kept("layers/1/b", true, 2),
            kept("trees/2", false, 7),
        ];
        as_old_as_their_layers(&mut all);
        assert_eq!(all.each_ref().map(|kept| kept.used), [at(9), at(9), at(2), at(7)]);
        let with = |one: usize| all.iter().filter(|other| other.goes_with(&all[one])).count();
        assert_eq!([with(0), with(1), with(3)], [3, 1, 1]);
    }
}
