//! The steps of a publication, in the order in which dnf needs them.

use std::{collections::HashSet, time::Duration};

use anyhow::Context as _;
use farm_daemon::CancellationToken;
use farm_db::publish::Package;
use farm_store::Store;

use crate::{
    folder::Folder,
    metadata::{Createrepo, Metadata},
    packages,
    retired::Retired,
};

/// Makes these packages public, and answers how many. `None`: told to end before anything was changed.
///
/// The caller holds the folder's lock.
pub(crate) async fn publish(
    store: &Store,
    createrepo: &Createrepo,
    folder: &Folder,
    wanted: Vec<Package>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<usize>> {
    let run = folder.begin_run()?;
    let prepare = async {
        let there = packages::bring(store, folder, run.path(), wanted).await?;
        let metadata = createrepo.make(folder, run.path(), &there).await?;
        anyhow::Ok((there, metadata))
    };
    let Some(prepared) = shutdown.run_until_cancelled(prepare).await else { return Ok(None) };
    let (there, metadata) = prepared?;
    let folder = folder.clone();
    let switch = move || switch(&folder, &there, &metadata).map(|()| there.len());
    Ok(Some(tokio::task::spawn_blocking(switch).await??))
}

/// Replaces the old metadata by the new.
fn switch(folder: &Folder, packages: &[Package], metadata: &Metadata) -> anyhow::Result<()> {
    let needed_packages: HashSet<String> = packages.iter().map(|package| package.digest.to_string()).collect();
    let mut needed_metadata = metadata.files.clone();
    needed_metadata.insert("repomd.xml".to_owned());
    let (retired_packages, retired_metadata) = (Retired::packages(folder), Retired::metadata(folder));
    retired_packages.restore(&needed_packages)?;
    retired_metadata.restore(&needed_metadata)?;

    let repodata = folder.public.join("repodata");
    for file in &metadata.files {
        fs_err::rename(metadata.dir.join(file), repodata.join(file))?;
    }
    // Everything that repomd.xml names, and the new one itself, is on the disk before it is public.
    let dir = fs_err::File::open(&repodata)?;
    rustix::fs::syncfs(&dir).with_context(|| format!("cannot write {} to its disk", folder.public.display()))?;
    fs_err::rename(metadata.dir.join("repomd.xml"), folder.repomd())?;
    dir.sync_all()?;

    retired_packages.retire_others(&needed_packages)?;
    retired_metadata.retire_others(&needed_metadata)?;
    Ok(())
}

/// Removes what the metadata has not named for so long. Answers how much; nothing where another publisher is at work.
pub(crate) fn tidy(folder: &Folder, grace: Duration) -> anyhow::Result<u64> {
    let Some(_lock) = folder.lock()? else { return Ok(0) };
    let metadata = Retired::metadata(folder).remove_older_than(grace)?;
    Ok(metadata + Retired::packages(folder).remove_older_than(grace)?)
}
