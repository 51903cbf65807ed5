//! What a step has to see, put together in a folder that exists on every host and in which the host has nothing that a step
//! needs: `/sys`. Only the helper's own mount namespace changes. (A path of our own would not do: the data folder may lie below one,
//! such as `/root`, that the ids of the namespace cannot pass; from here on, nothing outside of the scene is needed.)

use std::{
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount, umount2},
};

use super::Chroot;

const STAGE: &str = "/sys";

/// The folder where everything stands.
pub struct Scene;

impl Scene {
    /// An empty scene.
    pub fn new() -> anyhow::Result<Self> {
        mount(Some("tmpfs"), STAGE, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=755,size=64m"))
            .context("cannot mount the scene's tmpfs")?;
        Ok(Self)
    }

    /// Where `name` stands.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        Path::new(STAGE).join(name)
    }

    /// Lets the folder or file `source` appear as `name`.
    pub fn show(&self, source: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let target = self.path(name);
        if source.is_dir() {
            folder(&target)?;
        } else {
            self.write(name, "")?;
        }
        mount(Some(source), &target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
            .with_context(|| format!("cannot show {} in the scene", source.display()))?;
        Ok(target)
    }

    /// Lets `lower` appear as `name`, writable: what is written goes to `changes/upper`.
    pub fn show_writable(&self, lower: &Path, changes: &Path, name: &str) -> anyhow::Result<PathBuf> {
        self.overlay(&[lower], changes, name)
    }

    /// Lets folders, the first one uppermost, appear as `name`, writable: what is written goes to `changes/upper`. The same changes
    /// may come again over other folders: nothing in them refers to those (`index=off`).
    fn overlay(&self, lower: &[&Path], changes: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let (upper, work, target) = (changes.join("upper"), changes.join("work"), self.path(name));
        // A new one each time: the kernel refuses one that a `volatile` mount has used.
        super::removal::remove(&work)?;
        for folder_to_make in [&upper, &work, &target] {
            folder(folder_to_make)?;
        }
        // `volatile`: nobody needs these files after a crash, so nothing waits for the disk.
        let lower: Vec<String> = lower.iter().map(|path| plain(path)).collect::<anyhow::Result<_>>()?;
        let options = format!(
            "userxattr,volatile,index=off,lowerdir={},upperdir={},workdir={}",
            lower.join(":"),
            plain(&upper)?,
            plain(&work)?
        );
        mount(Some("overlay"), &target, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("cannot mount an overlay over {}", lower.join(" and ")))?;
        Ok(target)
    }

    /// Mounts a chroot.
    pub fn chroot(&self, chroot: &Chroot) -> anyhow::Result<PathBuf> {
        let tree = chroot.tree.join("root");
        match &chroot.layer {
            Some(layer) => self.overlay(&[&layer.join("upper"), &tree], &chroot.changes, "chroot"),
            None => self.overlay(&[&tree], &chroot.changes, "chroot"),
        }
    }

    /// Ends what [`Scene::show`] and the like have begun.
    pub fn hide(&self, name: &str) -> anyhow::Result<()> {
        umount(&self.path(name)).with_context(|| format!("cannot unmount {name} of the scene"))
    }

    /// Puts a small text file there.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            folder(parent)?;
        }
        fs_err::write(&path, text)?;
        Ok(path)
    }
}

/// Takes the scene of the step before away, if there was one, and all that stands in it.
pub fn clear() -> anyhow::Result<()> {
    match umount2(STAGE, MntFlags::MNT_DETACH) {
        Ok(()) | Err(Errno::EINVAL) => Ok(()),
        Err(error) => Err(error).context("cannot take a scene away"),
    }
}

/// Makes a folder that everybody may pass.
pub fn folder(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

/// Makes a new file that only its owner may write.
pub fn new_file(path: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

/// A path as part of overlay's options, where commas, colons and backslashes would mean something.
fn plain(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().context("the path is not UTF-8")?;
    anyhow::ensure!(!text.contains([',', ':', '\\']), "the path {text} has a comma, colon or backslash in it");
    Ok(text.to_owned())
}
