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

use farm_api::recipe::{Recipe, Repository};
use farm_types::{Cause, Digest, PlatformName};
use sha2::{Digest as _, Sha256};

use super::{
    dependencies::{Refusal, refusal},
    failure::End,
    files::beside,
    helper::{Helpers, StepEnd},
    locks::{Locks, Use},
    recipe::{dnf, local_folder},
    stock::Stock,
    watch::{Clock, Journal},
};
use crate::sandbox::{Answer, Order};

/// Part of each name: trees made in another way are other trees.
const FORMAT: u32 = 2;

/// How long it is believed that repositories on the network have not changed.
const FRESH: Duration = Duration::from_secs(600);

/// When which repositories were asked.
#[derive(Debug)]
struct Fresh {
    repositories: Vec<Repository>,
    asked: Instant,
}

/// All base trees below a data folder.
#[derive(Debug)]
pub struct Trees {
    pub locks: Locks,
    pub stock: Arc<Stock>,
    fresh: Mutex<HashMap<PlatformName, Fresh>>,
}

impl Trees {
    /// The trees of a stock.
    pub fn new(stock: Arc<Stock>) -> Self {
        Self { locks: Locks::default(), stock, fresh: Mutex::default() }
    }

    /// The folder of the platform's tree as it has to be now, and the right that it stays; makes it if need be. The path is relative to
    /// the data folder.
    pub async fn ready(
        &self,
        helpers: &Helpers,
        recipe: &Recipe,
        journal: &mut Journal,
        clock: &Clock,
    ) -> Result<(PathBuf, Use), End> {
        let recipe = &recipe.for_base();
        let metadata = self.refresh(helpers, recipe, journal, clock).await?;
        let key =
            key(helpers, recipe, metadata.as_deref()).map_err(|message| End::fault(journal, Cause::Chroot, message))?;
        let tree = Path::new("trees").join(key.to_string());
        let whole = helpers.data.join(&tree);
        // Taken first: what is in use and not there can only come.
        let used = Use::of(&whole).await.map_err(|error| unusable(journal, &whole, &error))?;
        if whole.exists() {
            return Ok((tree, used));
        }
        let _lock = self.locks.lock(&helpers.data, &tree, journal, clock).await?;
        if !whole.exists() {
            make(helpers, recipe, &tree, metadata, journal, clock).await?;
            let settling = Use::of(&whole).await.map_err(|error| unusable(journal, &whole, &error))?;
            self.stock.settle(&tree, settling);
        }
        Ok((tree, used))
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
        let _lock = self.locks.lock(&helpers.data, &cache, journal, clock).await?;
        let is_fresh = |fresh: &Fresh| fresh.asked.elapsed() < FRESH && fresh.repositories == recipe.repositories;
        if !self.fresh.lock().unwrap_or_else(PoisonError::into_inner).get(&recipe.name).is_some_and(is_fresh) {
            let order = Order::Refresh { cache: cache.clone(), dnf };
            let repositories = recipe.repositories.clone();
            run_dnf(helpers, &order, recipe, "the repositories cannot be read", journal, clock).await?;
            let fresh = Fresh { repositories, asked: Instant::now() };
            self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(recipe.name.clone(), fresh);
        }
        Ok(Some(cache))
    }
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
pub fn downloaded(cache: &Path, name: &str) -> io::Result<PathBuf> {
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

fn unusable(journal: &Journal, tree: &Path, error: &io::Error) -> End {
    End::fault(journal, Cause::Chroot, format!("the base tree {} cannot be used: {error}", tree.display()))
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
