//! The record of an attempt: what it was built in and with.

use std::{path::Path, sync::Arc};

use farm_api::{
    limits::Limits,
    record::{BuildRecord, Buildroot, FORMAT, Package, RepositoryState, Tool, Usage},
};
use farm_types::Digest;
use sha2::{Digest as _, Sha256};
use tokio::{process::Command, sync::OnceCell};

use super::{attempt::Attempt, inventory, trees};
use crate::{
    driver::{BuildLimits, BuildRequest},
    isolation::Isolation,
};

/// The versions of the programs that build, found out once in a daemon's life.
#[derive(Debug, Clone, Default)]
pub struct Tools(Arc<OnceCell<Vec<Tool>>>);

impl Tools {
    /// Begins to find them out, beside a build: dnf alone takes a third of a second to say its name.
    pub fn look(&self) {
        if !self.0.initialized() {
            let tools = self.clone();
            tokio::spawn(async move { tools.all().await });
        }
    }

    async fn all(&self) -> Vec<Tool> {
        self.0.get_or_init(find).await.clone()
    }
}

async fn find() -> Vec<Tool> {
    let own = Tool { name: "farm-builder".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut tools = vec![own, Tool { name: "kernel".to_owned(), version: kernel }];
    for name in ["bwrap", "dnf", "createrepo_c"] {
        if let Some(version) = ask(name).await {
            tools.push(Tool { name: name.to_owned(), version });
        }
    }
    tools
}

/// The version that a program prints: the first word of its first line that begins with a digit.
async fn ask(name: &str) -> Option<String> {
    let output = Command::new(name).arg("--version").kill_on_drop(true).output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.lines().next()?.split_whitespace().map(|word| word.trim_end_matches([',', ')']));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned).next()
}

/// What is known of an attempt's chroots so far.
#[derive(Debug, Default)]
pub struct Chroots {
    /// The base tree, once it is ready.
    pub base: Option<String>,
    /// What the repositories offered when it was made.
    pub repositories: Vec<RepositoryState>,
    /// One for each source that came to its build.
    pub buildroots: Vec<Buildroot>,
}

impl Chroots {
    /// The record of an attempt; none before there was a base tree.
    pub async fn record(
        self,
        request: &BuildRequest,
        isolation: Option<&Isolation>,
        tools: &Tools,
    ) -> Option<BuildRecord> {
        let base = self.base?;
        let mut tools = tools.all().await;
        let rpm = self.buildroots.iter().flat_map(|root| &root.packages).find(|package| package.name == "rpm");
        tools.extend(rpm.map(|rpm| Tool { name: "rpm".to_owned(), version: rpm.evr() }));
        Some(BuildRecord {
            format: FORMAT,
            platform: request.platform.name.clone(),
            recipe: serde_json::to_value(&request.platform).ok()?,
            repositories: self.repositories,
            base,
            sources: Vec::new(),
            predecessors: Vec::new(),
            buildroots: self.buildroots,
            limits: limits(&request.limits),
            network: request.uses_network(),
            isolation: isolation.and_then(|isolation| serde_json::to_value(isolation).ok()),
            options: None,
            tools,
            stages: Vec::new(),
            usage: Usage::default(),
        })
    }
}

impl Attempt<'_> {
    /// Writes down what the base tree is and what it was made from: dnf has kept the metadata beside it that it goes by.
    pub fn note_base(&mut self) {
        self.chroots.base = self.tree.file_name().map(|name| name.to_string_lossy().into_owned());
        let cache = self.helpers.data.join(&self.tree).join("cache");
        let names = self.request.platform.repositories.iter().map(|repository| &repository.name);
        self.chroots.repositories = names.filter_map(|name| repository(&cache, name)).collect();
    }

    /// Writes down what a source is built in.
    pub fn note_buildroot(&mut self, position: usize, layers: Vec<String>, mut packages: Vec<Package>) {
        let of_platform = self.request.platform.repositories.iter();
        // Those of the job's own, too: with them there is more than one that a package may come from.
        let all = of_platform.chain(&self.request.repositories).map(|one| one.name.as_str());
        let repositories: Vec<_> = all.collect();
        let own = self.has_results.then(|| self.path("results"));
        let cache = self.helpers.data.join(&self.tree).join("cache");
        inventory::name_origins(&mut packages, &repositories, &cache, own.as_deref());
        let source = u32::try_from(position).unwrap_or(u32::MAX);
        // A source that went to the back of the line comes again.
        self.chroots.buildroots.retain(|buildroot| buildroot.source != source);
        self.chroots.buildroots.push(Buildroot { source, layers, packages });
    }
}

fn repository(cache: &Path, name: &str) -> Option<RepositoryState> {
    let offers = trees::downloaded(cache, name).and_then(fs_err::read);
    let offers = offers.inspect_err(|error| tracing::warn!(%error, "the record lacks a repository")).ok()?;
    Some(repository_state(name, &offers))
}

/// What a repository offers, by the top of its metadata.
pub fn repository_state(name: &str, repomd: &[u8]) -> RepositoryState {
    RepositoryState {
        name: name.to_owned(),
        digest: Digest::from_bytes(Sha256::digest(repomd).into()),
        revision: revision(&String::from_utf8_lossy(repomd)),
    }
}

/// The revision that the top of a repository's metadata names.
fn revision(repomd: &str) -> Option<String> {
    let (_, rest) = repomd.split_once("<revision>")?;
    let (revision, _) = rest.split_once("</revision>")?;
    (revision.len() <= 100).then(|| revision.trim().to_owned())
}

fn limits(limits: &BuildLimits) -> Limits {
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).ok();
    Limits {
        timeout_seconds: seconds(limits.timeout),
        silence_seconds: seconds(limits.silence_timeout),
        log_bytes: Some(limits.log_bytes),
        result_bytes: Some(limits.result_bytes),
        results: Some(limits.results),
        memory_bytes: Some(limits.memory_bytes),
        processes: Some(limits.processes),
        disk_bytes: Some(limits.disk_bytes),
        files: Some(limits.files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_of_a_repository_is_read() {
        assert_eq!(revision("<repomd>\n  <revision>1764118000</revision>\n"), Some("1764118000".to_owned()));
        assert_eq!(revision("<repomd/>"), None);
    }

    #[tokio::test]
    async fn the_versions_of_the_programs_that_build_are_found() {
        let tools = Tools::default().all().await;
        for name in ["farm-builder", "kernel", "bwrap", "dnf"] {
            assert!(tools.iter().any(|tool| tool.name == name && tool.version.contains('.')), "{name}: {tools:?}");
        }
    }
}
