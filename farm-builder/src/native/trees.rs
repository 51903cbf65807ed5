//! Base trees: one per state of a platform, made once, read by all.
//!
//! A tree is named by what it was made from: the recipe and what each repository offered. It is made aside and renamed when whole,
//! so a tree that is there is good. However many builds, and builders on this host, want the same tree at once: one makes it.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use farm_api::recipe::Recipe;
use farm_types::{Cause, Digest, PlatformName};
use nix::fcntl::Flock;
use sha2::{Digest as _, Sha256};

use super::{
    dependencies::{Refusal, refusal},
    failure::End,
    files::{beside, try_lock},
    helper::{Helpers, StepEnd},
    recipe::{dnf, local_folder},
    watch::{Clock, Journal},
};
use crate::sandbox::{Answer, Order};

/// Part of each name: trees made in another way are other trees.
const FORMAT: u32 = 2;

/// How long it is believed that repositories on the network have not changed.
const FRESH: Duration = Duration::from_secs(600);

/// How often to ask for a lock that another process holds.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// All base trees below a data folder.
#[derive(Debug, Default)]
pub struct Trees {
    locks: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    fresh: Mutex<HashMap<PlatformName, Instant>>,
}

impl Trees {
    /// The folder of the platform's tree as it has to be now; makes it if need be. The path is relative to the data folder.
    pub async fn ready(
        &self,
        helpers: &Helpers,
        recipe: &Recipe,
        journal: &mut Journal,
        clock: &Clock,
    ) -> Result<PathBuf, End> {
        let recipe = &recipe.for_base();
        let metadata = self.refresh(helpers, recipe, journal, clock).await?;
        let key =
            key(helpers, recipe, metadata.as_deref()).map_err(|message| End::fault(journal, Cause::Chroot, message))?;
        let tree = Path::new("trees").join(key.to_string());
        if helpers.data.join(&tree).exists() {
            return Ok(tree);
        }
        let _lock = self.lock(&helpers.data, &tree, journal, clock).await?;
        if !helpers.data.join(&tree).exists() {
            make(helpers, recipe, &tree, metadata, journal, clock).await?;
        }
        Ok(tree)
    }

    /// Forgets that repositories were asked lately: what they offer does not match any more.
    pub fn distrust(&self, platform: &PlatformName) {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).remove(platform);
    }

    /// Asks repositories on the network what they offer; answers the folder with their metadata. `None` if all are on this host.
    async fn refresh(
        &self,
        helpers: &Helpers,
        recipe: &Recipe,
        journal: &mut Journal,
        clock: &Clock,
    ) -> Result<Option<PathBuf>, End> {
        let dnf = dnf(recipe, false);
        if !dnf.network {
            return Ok(None);
        }
        let cache = Path::new("repositories").join(recipe.name.as_str());
        let _lock = self.lock(&helpers.data, &cache, journal, clock).await?;
        let is_fresh = |asked: &Instant| asked.elapsed() < FRESH;
        if !self.fresh.lock().unwrap_or_else(PoisonError::into_inner).get(&recipe.name).is_some_and(is_fresh) {
            let order = Order::Refresh { cache: cache.clone(), dnf };
            run_dnf(helpers, &order, recipe, "the repositories cannot be read", journal, clock).await?;
            self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(recipe.name.clone(), Instant::now());
        }
        Ok(Some(cache))
    }

    /// Waits for the right to change `path`, among the builds of this process and among the builders of this host.
    pub async fn lock(&self, data: &Path, path: &Path, journal: &Journal, clock: &Clock) -> Result<Lock, End> {
        let turn =
            self.locks.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default().clone();
        let failed = |error: io::Error| {
            End::fault(journal, Cause::Chroot, format!("cannot lock {} in {}: {error}", path.display(), data.display()))
        };
        let wait = async {
            let turn = turn.lock_owned().await;
            let name = beside(&data.join(path), "lock");
            loop {
                if let Some(file) = try_lock(&name).map_err(failed)? {
                    return Ok(Lock { _turn: turn, _file: file });
                }
                tokio::time::sleep(LOCK_PAUSE).await;
            }
        };
        tokio::select! {
            lock = wait => lock,
            () = clock.cancel.cancelled() => Err(End::Cancelled),
        }
    }
}

/// The right to change something, until dropped.
#[derive(Debug)]
pub struct Lock {
    _turn: tokio::sync::OwnedMutexGuard<()>,
    _file: Flock<std::fs::File>,
}

/// What a tree is made from, as a digest.
fn key(helpers: &Helpers, recipe: &Recipe, metadata: Option<&Path>) -> Result<Digest, String> {
    let mut digest = Sha256::new();
    // Files of a tree belong to the ids it was made with.
    let recipe = recipe.for_base();
    let parts = serde_json::to_vec(&(FORMAT, helpers.ids.root, &recipe)).map_err(|error| error.to_string())?;
    digest.update(&parts);
    for repository in &recipe.repositories {
        let path = match (local_folder(repository), metadata) {
            (Some(folder), _) => folder.join("repodata/repomd.xml"),
            (None, Some(cache)) => {
                downloaded(&helpers.data.join(cache), &repository.name).map_err(|error| error.to_string())?
            }
            (None, None) => return Err(format!("repository {} was not read", repository.name)),
        };
        let offers = fs_err::read(&path).map_err(|error| {
            format!("repository {} of platform {} cannot be read: {error}", repository.name, recipe.name)
        })?;
        digest.update((offers.len() as u64).to_le_bytes());
        digest.update(&offers);
    }
    Ok(Digest::from_bytes(digest.finalize().into()))
}

/// Where dnf has put the top of a repository's metadata: `NAME-0123456789abcdef/repodata/repomd.xml`.
fn downloaded(cache: &Path, name: &str) -> io::Result<PathBuf> {
    for entry in fs_err::read_dir(cache)? {
        let folder = entry?.path();
        let of_name = folder.file_name().and_then(|file| file.to_str()).and_then(|file| file.rsplit_once('-'));
        let path = folder.join("repodata/repomd.xml");
        if of_name.is_some_and(|(start, hash)| start == name && hash.chars().all(|c| c.is_ascii_hexdigit()))
            && path.exists()
        {
            return Ok(path);
        }
    }
    Err(io::Error::other(format!("dnf has left no metadata of repository {name} in {}", cache.display())))
}

async fn make(
    helpers: &Helpers,
    recipe: &Recipe,
    tree: &Path,
    metadata: Option<PathBuf>,
    journal: &mut Journal,
    clock: &Clock,
) -> Result<(), End> {
    let making = beside(tree, "making");
    journal.say(&format!("making the base tree of {}", recipe.name)).await;
    remove(helpers, &making, journal, clock).await?;
    let order =
        Order::MakeTree { making: making.clone(), metadata, packages: recipe.base.clone(), dnf: dnf(recipe, false) };
    let began = Instant::now();
    let what = format!("the base tree of {} cannot be made", recipe.name);
    run_dnf(helpers, &order, recipe, &what, journal, clock).await?;
    fs_err::rename(helpers.data.join(&making), helpers.data.join(tree))
        .map_err(|error| End::fault(journal, Cause::Chroot, error.to_string()))?;
    tracing::info!(platform = %recipe.name, tree = %tree.display(), seconds = began.elapsed().as_secs_f32(), "made a base tree");
    Ok(())
}

/// Runs a step in which dnf works for the farm alone, so that every failure is the farm's.
async fn run_dnf(
    helpers: &Helpers,
    order: &Order,
    recipe: &Recipe,
    what: &str,
    journal: &mut Journal,
    clock: &Clock,
) -> Result<(), End> {
    journal.begin(false);
    let why = match helpers.run(order, journal, clock).await {
        Ok(StepEnd::Answer(Answer::Exit(0))) => return Ok(()),
        Ok(StepEnd::Answer(Answer::Exit(_))) => match refusal(journal.seen().lines()) {
            Refusal::Repository(why) => format!("a repository cannot be used: {why}"),
            Refusal::Unsolvable(why) | Refusal::Other(why) => why,
        },
        Ok(StepEnd::Answer(Answer::Broken(why))) => why,
        Ok(StepEnd::Answer(answer)) => format!("unexpected answer {answer:?}"),
        Ok(StepEnd::Stopped(super::watch::Stop::Cancelled)) => return Err(End::Cancelled),
        Ok(StepEnd::Stopped(stop)) => format!("it was ended: {stop:?}"),
        Err(error) => error.to_string(),
    };
    Err(End::fault(
        journal,
        Cause::Chroot,
        format!("{what}: {why}; look at the recipe of {} and its repositories", recipe.name),
    ))
}

/// Removes a folder below the data folder, whoever owns what is in it.
pub async fn remove(helpers: &Helpers, path: &Path, journal: &mut Journal, clock: &Clock) -> Result<(), End> {
    if helpers.data.join(path).symlink_metadata().is_err() {
        return Ok(());
    }
    let why = match helpers.run(&Order::Remove { path: path.to_owned() }, journal, clock).await {
        Ok(StepEnd::Answer(Answer::Done)) => return Ok(()),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    };
    Err(End::fault(journal, Cause::Internal, format!("cannot remove {}: {why}", helpers.data.join(path).display())))
}
