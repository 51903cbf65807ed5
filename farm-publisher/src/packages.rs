//! Bringing packages from the store into a repository.

use std::{io, path::Path};

use anyhow::Context as _;
use farm_db::publish::Package;
use farm_rpm::Limits;
use farm_store::Store;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::StreamReader;
use tracing::warn;

use crate::folder::Folder;

/// Packages that are brought at the same time.
const AT_ONCE: usize = 4;

/// Brings what is not there yet, and answers which of the packages are there now, in the same order. What is no binary
/// package is left out: a build can call anything one, and must not keep the rest of its bucket from being published.
///
/// Each package is whole when it gets its public name, and stays however this ends: the next run goes on from there.
pub(crate) async fn bring(
    store: &Store,
    folder: &Folder,
    run: &Path,
    packages: Vec<Package>,
) -> anyhow::Result<Vec<Package>> {
    let brought = stream::iter(packages.into_iter().enumerate())
        .map(|(number, package)| async move {
            let aside = run.join(format!("package-{number}"));
            let there = bring_one(store, folder, &aside, &package)
                .await
                .with_context(|| format!("cannot bring the package {} (blob {})", package.name, package.digest))?;
            anyhow::Ok(there.then_some(package))
        })
        .buffered(AT_ONCE);
    brought.try_filter_map(|package| async { Ok(package) }).try_collect().await
}

/// Where a package is, seen from the repository. The digest is in it, so that a name that was built again is another file:
/// the old one stays what the old metadata says it is.
pub(crate) fn location(package: &Package) -> String {
    format!("packages/{}/{}", package.digest, package.name)
}

async fn bring_one(store: &Store, folder: &Folder, aside: &Path, package: &Package) -> anyhow::Result<bool> {
    let place = folder.public.join(location(package));
    match fs_err::tokio::metadata(&place).await {
        Ok(found) if found.len() == package.size => return Ok(true),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    copy(store, aside, package).await?;
    if let Err(problems) = check(aside).await? {
        let name = package.name.as_str();
        warn!(blob = %package.digest, "{} is left out, because it is no sound binary package: {problems}", name.escape_debug());
        return Ok(false);
    }
    fs_err::tokio::create_dir_all(place.parent().unwrap_or(&folder.public)).await?;
    fs_err::tokio::rename(aside, place).await?;
    Ok(true)
}

/// Copies a blob; the store compares its digest on the way.
async fn copy(store: &Store, aside: &Path, package: &Package) -> anyhow::Result<()> {
    let blob = store.get(&package.digest).await?;
    let mut bytes = StreamReader::new(blob.stream().map_err(io::Error::other));
    let mut file = fs_err::tokio::File::create(aside).await?;
    tokio::io::copy(&mut bytes, &mut file).await?;
    file.flush().await?;
    Ok(())
}

/// Whether a file is a sound binary package; if not, why. The metadata is made by a program that believes what it reads.
async fn check(file: &Path) -> anyhow::Result<Result<(), String>> {
    let file = file.to_owned();
    let report = tokio::task::spawn_blocking(move || farm_rpm::read_binary(&file, &Limits::default())).await??;
    Ok(match report.accept() {
        Ok(package) if package.is_source => Err("it is a source package".to_owned()),
        Ok(_) => Ok(()),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    })
}
