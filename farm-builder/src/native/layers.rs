//! Dependency layers: what dnf changed in a base tree to bring what a source package needs. One per base tree and set of packages.
//!
//! A *wish*, the base tree and the sorted BuildRequires, is known by its digest. Where the wish was granted before, a small file,
//! `layers/TREE/wishes/WISH`, names the layer, and neither dnf nor its solver is started. (The tree's own name covers what the
//! repositories offer.) Else dnf solves; if there is a layer with these packages, it is the one, else dnf goes on and makes it: in the
//! attempt's own folder, so that what a killed builder leaves half made goes with that, and renamed when whole.

use std::{
    io,
    path::{Path, PathBuf},
};

use farm_rpm::Dependency;
use farm_types::{Cause, Digest};
use sha2::{Digest as _, Sha256};

use super::{
    attempt::{Attempt, farm_clock},
    failure::End,
    files,
    locks::Use,
    needs, numbers,
};
use crate::sandbox::{Answer, LayerOrder, Layered, Order};

/// Part of each wish.
const FORMAT: u32 = 2;

/// What a wish comes to that the base tree grants by itself.
const NOTHING: &str = "nothing";

/// The package that stands for what is needed.
const NEEDS: &str = "farm-build-requires";

/// How often to begin anew when a layer is evicted in the very moment it is to be used.
const TRIES: u32 = 3;

/// What has to lie over the base tree.
#[derive(Debug)]
pub struct Layer {
    /// Its folder, relative to the data folder; `None` if the base tree is enough.
    pub path: Option<PathBuf>,
    /// As long as this lives, it stays.
    _used: Option<Use>,
}

/// How a wish ended.
#[derive(Debug)]
pub enum Granted {
    /// With a layer.
    Layer(Layer),
    /// dnf refused; what it said is in the journal.
    Refused,
}

impl Attempt<'_> {
    /// The layer that brings what is needed. `label` names the folder in which it is made, if need be.
    pub async fn layer(&mut self, label: &str, needs: &[Dependency]) -> Result<Granted, End> {
        if needs.is_empty() {
            return Ok(Granted::Layer(Layer { path: None, _used: None }));
        }
        // What the attempt has built so far, or a repository of its own has, may be what is needed: then nothing is known before dnf
        // was asked.
        let wish = (!self.brings_packages()).then(|| self.shelf().join("wishes").join(digest(needs).to_string()));
        let Some(wish) = wish else { return self.make_layer(label, needs, None).await };
        if let Some(layer) = self.recall(&wish).await? {
            return Ok(Granted::Layer(layer));
        }
        let clock = farm_clock(self.cancel);
        let _lock = self.trees.locks.lock(&self.helpers.data, &wish, self.journal, &clock).await?;
        match self.recall(&wish).await? {
            Some(layer) => Ok(Granted::Layer(layer)),
            None => self.make_layer(label, needs, Some(&wish)).await,
        }
    }

    /// Where layers over the attempt's base tree are.
    fn shelf(&self) -> PathBuf {
        Path::new("layers").join(self.tree.file_name().unwrap_or_default())
    }

    /// What a wish came to, if it was granted before.
    async fn recall(&mut self, wish: &Path) -> Result<Option<Layer>, End> {
        let layer = match fs_err::read_to_string(self.helpers.data.join(wish)).unwrap_or_default() {
            text if text == NOTHING => Some(Layer { path: None, _used: None }),
            text => match text.parse::<Digest>() {
                Ok(name) => self.take(&name).await?,
                Err(_) => None,
            },
        };
        if layer.is_some() {
            numbers::layer("known");
        }
        Ok(layer)
    }

    /// A layer of this name, if there is one.
    async fn take(&mut self, name: &Digest) -> Result<Option<Layer>, End> {
        let path = self.shelf().join(name.to_string());
        let whole = self.helpers.data.join(&path);
        if !whole.exists() {
            return Ok(None);
        }
        let used = Use::of(&whole).await.map_err(|error| self.unusable(&path, &error))?;
        if !whole.exists() {
            return Ok(None);
        }
        self.tell(&path).await;
        Ok(Some(Layer { path: Some(path), _used: Some(used) }))
    }

    async fn tell(&mut self, path: &Path) {
        let packages = fs_err::read_to_string(self.helpers.data.join(path).join("packages")).unwrap_or_default();
        let name: String = path.file_name().unwrap_or_default().to_string_lossy().chars().take(12).collect();
        self.journal.say(&format!("{} packages over the base tree, in layer {name}", packages.lines().count())).await;
    }

    async fn make_layer(&mut self, label: &str, needs: &[Dependency], wish: Option<&Path>) -> Result<Granted, End> {
        let package = self.needs_package(NEEDS, needs)?;
        for attempt in 1..=TRIES {
            let making = self.folder.join(format!("layer-{label}-{attempt}"));
            let layer = match self.order_layer(&making, &package).await? {
                Answer::Exit(_) => return Ok(Granted::Refused),
                Answer::Layer(Layered::Nothing) => Some(Layer { path: None, _used: None }),
                Answer::Layer(Layered::Known(name)) => self.take(&name).await?.inspect(|_| numbers::layer("solved")),
                Answer::Layer(Layered::Made(Some(name))) => Some(self.publish(&making, &name).await?),
                Answer::Layer(Layered::Spoilt(why)) => {
                    let why = format!("what is needed leaves a chroot that cannot be used: {why}");
                    return Err(self.failed(Cause::Dependencies, why));
                }
                Answer::Layer(Layered::Made(None)) => {
                    self.tell(&making).await;
                    Some(Layer { path: Some(making), _used: None })
                }
                answer => return Err(self.fault(Cause::Internal, format!("unexpected answer {answer:?}"))),
            };
            if let Some(layer) = layer {
                if let Some(wish) = wish {
                    self.remember(wish, &layer);
                }
                return Ok(Granted::Layer(layer));
            }
        }
        let why = "a dependency layer was evicted again and again; give the builder a larger cache_bytes";
        Err(self.fault(Cause::Chroot, why))
    }

    async fn order_layer(&mut self, making: &Path, package: &Path) -> Result<Answer, End> {
        let results = self.has_results.then(|| self.folder.join("results"));
        let dnf = self.dnf(results.is_some());
        let is_own = |name: &String| self.request.repositories.iter().any(|repository| repository.name == *name);
        let platforms = self.request.platform.for_base().repositories.into_iter().map(|repository| repository.name);
        let shared = platforms.filter(|name| !is_own(name)).collect();
        self.journal.begin(false);
        self.step(&Order::MakeLayer(LayerOrder {
            tree: self.tree.clone(),
            shelf: self.shelf(),
            making: making.to_owned(),
            package: package.to_owned(),
            only_platform: !self.brings_packages(),
            shared,
            results,
            dnf,
        }))
        .await
    }

    /// Puts a new layer where others find it.
    async fn publish(&mut self, making: &Path, name: &Digest) -> Result<Layer, End> {
        numbers::layer("made");
        let path = self.shelf().join(name.to_string());
        let whole = self.helpers.data.join(&path);
        let take = async || {
            files::helpers_folder(&self.helpers.data.join(self.shelf()), self.helpers.ids.root)?;
            let (used, settling) = (Use::of(&whole).await?, Use::of(&whole).await?);
            match fs_err::rename(self.helpers.data.join(making), &whole) {
                Ok(()) => self.trees.stock.settle(&path, settling),
                // Another wish came to the same packages at the same time. Ours goes with the attempt.
                Err(_) if whole.exists() => {}
                Err(error) => return Err(error),
            }
            Ok(used)
        };
        let used = take().await.map_err(|error: io::Error| self.unusable(&path, &error))?;
        let bytes = fs_err::read_to_string(whole.join("size")).unwrap_or_default();
        tracing::info!(platform = %self.request.platform.name, layer = %path.display(), bytes, "made a dependency layer");
        self.tell(&path).await;
        Ok(Layer { path: Some(path), _used: Some(used) })
    }

    /// Remembers what a wish came to. Where that fails, dnf solves again next time.
    fn remember(&self, wish: &Path, layer: &Layer) {
        let name = layer.path.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or(NOTHING);
        let wish = self.helpers.data.join(wish);
        // Under the lock of this wish.
        let new = files::beside(&wish, "new");
        if let Err(error) = fs_err::write(&new, name).and_then(|()| fs_err::rename(&new, &wish)) {
            tracing::warn!(%error, "it cannot be remembered which layer some dependencies came to");
        }
    }

    fn unusable(&self, layer: &Path, error: &io::Error) -> End {
        self.fault(Cause::Chroot, format!("the layer {} cannot be used: {error}", layer.display()))
    }

    /// Writes a package that requires `needs`; answers its path relative to the data folder.
    pub fn needs_package(&self, name: &str, needs: &[Dependency]) -> Result<PathBuf, End> {
        let path = self.folder.join("in").join(format!("{name}.rpm"));
        let absolute = self.helpers.data.join(&path);
        let written = needs::write_package(&absolute, name, needs).map_err(|error| error.to_string());
        written
            .and_then(|()| files::let_read(&absolute).map_err(|error| error.to_string()))
            .map_err(|error| self.fault(Cause::Internal, format!("cannot write {}: {error}", absolute.display())))?;
        Ok(path)
    }
}

/// The digest of what is needed, in whatever order it is asked for.
fn digest(needs: &[Dependency]) -> Digest {
    let mut lines: Vec<String> = needs.iter().map(ToString::to_string).collect();
    lines.sort();
    lines.dedup();
    let mut digest = Sha256::new();
    digest.update(FORMAT.to_le_bytes());
    for line in lines {
        // No dependency has such a byte in it.
        digest.update(line);
        digest.update([0]);
    }
    Digest::from_bytes(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use farm_rpm::Dependency;
    use rpm::DependencyFlags;

    use super::*;

    #[test]
    fn a_wish_does_not_depend_on_the_order_of_the_needs() {
        let need = |name: &str| Dependency { name: name.into(), flags: DependencyFlags::ANY, evr: String::new() };
        let one = digest(&[need("gcc"), need("make"), need("gcc")]);
        assert_eq!(one, digest(&[need("make"), need("gcc")]));
        assert_ne!(one, digest(&[need("makegcc")]));
        assert_ne!(one, digest(&[need("gcc")]));
    }
}
