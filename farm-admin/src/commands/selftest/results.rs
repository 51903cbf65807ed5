//! What was built: downloaded and looked into.

use std::path::Path;

use anyhow::{Context as _, ensure};
use farm_api::{
    client::PeopleClient,
    people::{Artifact, Task},
};
use farm_types::{ArtifactKind, Digest};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::package::{NAME, Package};

/// Downloads the packages of a task into a folder; an error says which is not as it should be.
pub(super) async fn check(client: &PeopleClient, task: &Task, package: &Package, dir: &Path) -> anyhow::Result<()> {
    let rpms: Vec<_> = task.artifacts.iter().filter(|artifact| artifact.kind == ArtifactKind::Rpm).collect();
    ensure!(!rpms.is_empty(), "the task succeeded, but there is no package");
    for rpm in rpms {
        // The name was checked when it was parsed; the number keeps platforms apart.
        let file = dir.join(format!("{}-{}", rpm.id, rpm.name));
        download(client, rpm, &file).await.with_context(|| format!("{} cannot be downloaded", rpm.name))?;
        let read = tokio::task::spawn_blocking(move || farm_rpm::read_binary(&file, &farm_rpm::Limits::default()));
        let built = read.await??.accept().map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{} is not a sound package: {}", rpm.name, problems.join("; "))
        })?;
        let (name, version) = (&built.nevra.name, &built.nevra.version);
        ensure!(name == NAME && *version == package.version, "{} is the package {name}-{version}", rpm.name);
    }
    Ok(())
}

async fn download(client: &PeopleClient, artifact: &Artifact, file: &Path) -> anyhow::Result<()> {
    let (_, mut bytes) = client.artifact(artifact, 0).await?;
    let mut to = fs_err::tokio::File::create(file).await?;
    let mut hasher = Sha256::new();
    let mut size = 0;
    while let Some(block) = bytes.next().await {
        let block = block?;
        hasher.update(&block);
        size += block.len() as i64;
        to.write_all(&block).await?;
    }
    to.flush().await?;
    let digest = Digest::from_bytes(hasher.finalize().into());
    ensure!(
        size == artifact.size && digest == artifact.digest,
        "it is {size} bytes with the digest {digest} instead of {} bytes with {}",
        artifact.size,
        artifact.digest
    );
    Ok(())
}
