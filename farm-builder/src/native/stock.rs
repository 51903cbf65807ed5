//! What is kept for further builds, base trees and layers: how much it is, and what goes when it is too much.
//!
//! `trees/TREE` is a base tree, `layers/TREE/LAYER` a layer over it. A tree that goes takes its layers along: whoever uses a layer uses
//! its tree, so neither is in use then, and a tree is never the older one of the two.

use std::{
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
    grown: Notify,
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

impl Stock {
    /// What is kept in the helpers' data folder; no more than so many bytes.
    pub fn new(helpers: Helpers, most_bytes: Option<u64>) -> Self {
        let most_bytes = most_bytes.unwrap_or_else(|| {
            let quarter =
                rustix::fs::statvfs(&helpers.data).map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize) / 4);
            quarter.unwrap_or(USUAL).min(USUAL)
        });
        Self { helpers, most_bytes, grown: Notify::new() }
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
        all.sort_by_key(|kept| (kept.used, !kept.is_layer));
        let mut bytes: u64 = all.iter().map(|kept| kept.bytes).sum();
        let mut gone: Vec<PathBuf> = Vec::new();
        for kept in &all {
            if bytes <= self.most_bytes && !self.is_short() {
                break;
            }
            if self.evict(kept).await? {
                tracing::info!(path = %kept.path.display(), bytes = kept.bytes, "evicted what was used least recently");
                numbers::evicted();
                bytes = bytes.saturating_sub(kept.bytes);
                gone.push(kept.path.clone());
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
        let disk = rustix::fs::statvfs(&self.helpers.data);
        disk.is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < SHORT)
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
