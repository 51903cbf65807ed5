//! Makes a dependency layer: what dnf changes in a base tree to bring what some source package needs.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use farm_types::Digest;
use sha2::{Digest as _, Sha256};

use super::{
    Answer, LayerOrder, Layered,
    dnf::{Call, Outcome, Plan, forget_results},
    fetched::Turn,
    removal::remove,
    scene::{Scene, folder},
};

/// Part of each name: layers made in another way are other layers.
const FORMAT: u32 = 2;

/// The package that requires what is needed.
const OURS: &str = "farm-build-requires";

pub fn make(order: &LayerOrder) -> anyhow::Result<Answer> {
    let scene = Scene::new()?;
    folder(&order.making)?;
    scene.show_writable(&order.tree.join("root"), &order.making, "chroot")?;
    let package = [scene.show(&order.package, "packages/needs.rpm")?];
    if let Some(results) = &order.results {
        scene.show(results, "results")?;
    }
    let rpmdb = fs_err::read_to_string(order.tree.join("rpmdb"))?;
    let call = Call { scene: &scene, dnf: &order.dnf, rpmdb: &rpmdb };
    let Outcome { exit, plan, went_on } = install(&scene, &call, order, &package)?;
    if exit != 0 {
        return Ok(Answer::Exit(exit));
    }
    let name = plan.as_ref().and_then(|plan| name_of(order, plan));
    match name {
        // It was let go on unless nothing is needed or all is there.
        Some(name) if !went_on && plan.as_ref().is_some_and(|plan| !plan.is_empty()) => {
            return Ok(Answer::Layer(Layered::Known(name)));
        }
        _ if !went_on => return Ok(Answer::Layer(Layered::Nothing)),
        _ => {}
    }
    // From here on, what cannot be done is what scriptlets have made of the chroot.
    match finish(&scene, &call, order, plan.is_some(), name) {
        Ok(layered) => Ok(Answer::Layer(layered)),
        Err(error) => Ok(Answer::Layer(Layered::Spoilt(format!("{error:#}")))),
    }
}

/// Writes down what a layer has and takes away what it was made with.
fn finish(
    scene: &Scene,
    call: &Call<'_>,
    order: &LayerOrder,
    is_planned: bool,
    name: Option<Digest>,
) -> anyhow::Result<Layered> {
    let packages = difference(&order.tree, call.list(Some(OURS))?)?;
    if packages.is_empty() {
        return Ok(Layered::Nothing);
    }
    // A dnf that does not tell its plan: what is installed names the layer. It was listed after scriptlets ran, and so is only as
    // good as the repositories are.
    let name = match name {
        None if !is_planned && order.only_platform => Some(digest(&order.tree, packages.iter().map(String::as_str))),
        _ => name,
    };
    fs_err::write(order.making.join("packages"), packages.join("\n") + "\n")?;
    fs_err::write(order.making.join("size"), bytes_in(&order.making.join("upper"))?.to_string())?;
    scene.hide("chroot")?;
    remove(&order.making.join("work"))?;
    remove(&order.making.join("cache"))?;
    Ok(Layered::Made(name))
}

/// Lets dnf install, unless it turns out that what it would come to is there already.
fn install(scene: &Scene, call: &Call<'_>, order: &LayerOrder, package: &[PathBuf]) -> anyhow::Result<Outcome> {
    let goes_on = |plan: &Plan| !plan.is_empty() && name_of(order, plan).is_none_or(|name| !is_there(order, &name));
    let (cache, changes) = (order.tree.join("cache"), order.making.join("cache"));
    if !order.dnf.network {
        scene.show_writable(&cache, &changes, "cache")?;
        return call.run_planned(false, &["install"], package, goes_on);
    }
    let fetch = || call.run_planned(true, &["--quiet", "--downloadonly", "install"], package, goes_on);
    // Beside the layer, whose size counts.
    let links = order.making.with_file_name("fetched");
    remove(&links)?;
    let turn = Turn::wait(&cache)?;
    let outcome = if order.dnf.passing {
        // What comes from a repository of this build's own is kept for no other, and none waits for it.
        turn.link(&cache, &links)?;
        drop(turn);
        scene.show_writable(&links, &changes, "cache")?;
        fetch()?
    } else {
        // What is fetched serves the other builds, too.
        scene.show(&cache, "cache")?;
        let outcome = fetch()?;
        scene.hide("cache")?;
        turn.link(&cache, &links)?;
        if order.results.is_some() {
            forget_results(&cache)?;
        }
        drop(turn);
        // What scriptlets do to the cache does not come back.
        scene.show_writable(&links, &changes, "cache")?;
        outcome
    };
    let goes_on = outcome.exit == 0 && outcome.went_on;
    let exit = if goes_on { call.run(false, &["install"], package)? } else { outcome.exit };
    scene.hide("cache")?;
    remove(&links)?;
    Ok(Outcome { exit, ..outcome })
}

/// The name of a layer; `None` if it is nobody else's business.
fn name_of(order: &LayerOrder, plan: &Plan) -> Option<Digest> {
    let repositories = || plan.iter().filter_map(|planned| planned.repository.as_ref());
    let is_shared = repositories().all(|repository| order.shared.contains(repository));
    is_shared.then(|| digest(&order.tree, plan.iter().map(|planned| planned.text.as_str())))
}

fn digest<'a>(tree: &Path, lines: impl Iterator<Item = &'a str>) -> Digest {
    let mut digest = Sha256::new();
    digest.update(FORMAT.to_le_bytes());
    digest.update(tree.as_os_str().as_encoded_bytes());
    for line in lines {
        digest.update([b'\n']);
        digest.update(line);
    }
    Digest::from_bytes(digest.finalize().into())
}

fn is_there(order: &LayerOrder, name: &Digest) -> bool {
    order.shelf.join(name.to_string()).is_dir()
}

/// What is in the chroot and not in the base tree.
fn difference(tree: &Path, all: Vec<String>) -> anyhow::Result<Vec<String>> {
    let base = fs_err::read_to_string(tree.join("packages"))?;
    let base: std::collections::HashSet<&str> = base.lines().collect();
    Ok(all.into_iter().filter(|line| !base.contains(line.as_str())).collect())
}

/// How much room a folder takes on the disk, in bytes.
pub fn bytes_in(folder: &Path) -> anyhow::Result<u64> {
    let (mut bytes, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let entry = entry?;
            let status = entry.metadata().with_context(|| format!("cannot look at {}", entry.path().display()))?;
            if status.is_dir() {
                bytes += status.blocks() * 512;
                folders.push(entry.path());
            } else {
                // Of several names of one file each counts its part.
                bytes += status.blocks() * 512 / status.nlink().max(1);
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Dnf, dnf::Planned};

    fn order(shared: &[&str]) -> LayerOrder {
        LayerOrder {
            tree: "trees/1".into(),
            shelf: "layers/1".into(),
            making: "work/1/layer".into(),
            package: "work/1/in/needs.rpm".into(),
            results: None,
            dnf: Dnf { config: String::new(), folders: Vec::new(), network: false, passing: false, narrow: false },
            shared: shared.iter().map(|id| (*id).to_owned()).collect(),
            only_platform: true,
        }
    }

    fn plan(lines: &[(&str, &str)]) -> Plan {
        let planned = |&(text, repository): &(&str, &str)| Planned {
            text: text.to_owned(),
            repository: Some(repository.to_owned()),
        };
        lines.iter().map(planned).collect()
    }

    #[test]
    fn the_same_packages_on_the_same_tree_have_one_name() {
        let one = name_of(&order(&["base"]), &plan(&[("+make", "base"), ("+gcc", "base")])).unwrap();
        assert_eq!(name_of(&order(&["base"]), &plan(&[("+make", "base"), ("+gcc", "base")])), Some(one));
        assert_ne!(name_of(&order(&["base"]), &plan(&[("+make", "base")])), Some(one));
        let other = LayerOrder { tree: "trees/2".into(), ..order(&["base"]) };
        assert_ne!(name_of(&other, &plan(&[("+make", "base"), ("+gcc", "base")])), Some(one));
    }

    #[test]
    fn what_an_attempt_has_made_itself_is_in_no_layer_of_others() {
        assert_eq!(name_of(&order(&["base"]), &plan(&[("+make", "base"), ("+x", "farm-results")])), None);
        assert_eq!(name_of(&order(&["base"]), &plan(&[("+make", "base"), ("+x", "")])), None);
        assert!(name_of(&order(&["base"]), &plan(&[("+make", "base")])).is_some());
    }

    #[test]
    fn what_is_removed_is_from_no_repository_and_makes_another_layer() {
        let removed = Planned { text: "-vim".to_owned(), repository: None };
        let both = [plan(&[("+make", "base")]), vec![removed]].concat();
        let name = name_of(&order(&["base"]), &both);
        assert!(name.is_some() && name != name_of(&order(&["base"]), &plan(&[("+make", "base")])));
    }
}
