//! One build: all sources of a request, in one folder of its own.

use std::{collections::VecDeque, path::PathBuf};

use farm_types::{Cause, Stage};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{asked, caches::Caches, host::Host, repository, source::Source};
use crate::{
    driver::{BuildRequest, BuiltFile},
    native::{asked::out_of_the_ordinary, failure::End, record::Chroots, watch::Journal},
};

/// One build.
pub struct Attempt<'a> {
    pub host: &'a Host,
    pub request: &'a BuildRequest,
    pub journal: &'a mut Journal,
    pub cancel: &'a CancellationToken,
    /// Its folder.
    pub folder: PathBuf,
    /// What mock is started with for whatever is to be done in the chroot of this build.
    pub chroot: ChrootName,
    /// When the time of the package's own steps is up, once they have begun.
    pub ends: Option<Instant>,
    /// Whether mock has left its chroot, for the next start to clean.
    pub is_unclean: bool,
    /// The repository of what was built so far, and of what the jobs before made.
    pub repository: Option<PathBuf>,
    /// What is known of its chroots so far.
    pub chroots: Chroots,
    /// Where mock keeps what it has of repositories: mock is asked beside the build.
    pub asked: Option<AbortOnDropHandle<anyhow::Result<Caches>>>,
    /// What it has answered.
    pub known: Caches,
}

/// Names a chroot to mock.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ChrootName {
    /// The file of the configuration.
    pub config: PathBuf,
    /// Where it finds what it includes.
    pub config_dir: PathBuf,
    /// Tells it from the chroots of other builds with that configuration.
    pub extension: String,
}

impl ChrootName {
    /// The options that name it.
    pub fn options(&self) -> Vec<std::ffi::OsString> {
        vec![
            "--configdir".into(),
            self.config_dir.clone().into(),
            "-r".into(),
            self.config.clone().into(),
            "--uniqueext".into(),
            self.extension.clone().into(),
        ]
    }
}

impl Attempt<'_> {
    /// Builds everything.
    pub async fn run(&mut self) -> Result<Vec<BuiltFile>, End> {
        self.journal.stage(Stage::Chroot).await;
        self.introduce().await;
        if let Some(what) = asked::refused(self.request) {
            let why = format!("mock cannot {what}; a builder with the native driver can");
            return Err(End::fault(self.journal, Cause::Chroot, why));
        }
        if !self.request.predecessors.is_empty() {
            self.offer(&[], 0).await?;
        }
        let count = self.request.sources.len();
        let mut line: VecDeque<usize> = (1..=count).collect();
        let (mut built, mut in_vain, mut round) = (Vec::new(), 0, 0);
        // A source that lacks another's result goes to the back of the line, as long as there is progress.
        while let Some(position) = line.pop_front() {
            if count > 1 {
                self.journal.of_source(u32::try_from(position).ok());
                self.journal.say(&format!("source {position} of {count}")).await;
            }
            round += 1;
            match Source::new(self, position, round).build().await {
                Ok(files) => {
                    built.extend(files);
                    in_vain = 0;
                    if !line.is_empty() {
                        self.offer(&built, round).await?;
                    }
                }
                Err(End::Failed(failure)) if failure.cause == Cause::Dependencies && in_vain < line.len() => {
                    self.journal.say(&format!("source {position} waits for what the others bring")).await;
                    in_vain += 1;
                    line.push_back(position);
                }
                Err(end) => return Err(end),
            }
        }
        Ok(built)
    }

    /// Says what builds here, and how it is isolated.
    async fn introduce(&mut self) {
        let config = self.chroot.config.display();
        self.journal
            .say(&format!("mock {} makes the chroot, by {config}: not by the platform's recipe", self.host.version))
            .await;
        let isolation = self.host.isolation.lines(self.network());
        for line in isolation.into_iter().chain(out_of_the_ordinary(self.request)) {
            self.journal.say(&line).await;
        }
    }

    /// Where mock keeps what it has of repositories.
    pub async fn caches(&mut self) -> Caches {
        if let Some(asked) = self.asked.take() {
            match asked.await.map_err(anyhow::Error::from).and_then(|found| found) {
                Ok(caches) => self.known = caches,
                Err(error) => {
                    let why = format!(
                        "the record has no digests and no repositories: mock does not say where its caches are: {error:#}"
                    );
                    self.journal.say(&why).await;
                }
            }
        }
        self.known.clone()
    }

    /// Whether the package's own scripts may use the network.
    pub fn network(&self) -> bool {
        self.request.uses_network()
    }

    /// Makes what was built so far, and by the jobs before, available to the sources that follow.
    async fn offer(&mut self, built: &[BuiltFile], round: usize) -> Result<(), End> {
        let folder = self.folder.join(format!("repository-{round}"));
        let all = [self.request.predecessors.as_slice(), built].concat();
        if let Err(error) = repository::make(&all, &folder).await {
            let why = format!("cannot offer results to the next source: {error}");
            return Err(End::fault(self.journal, Cause::Internal, why));
        }
        self.repository = Some(folder);
        Ok(())
    }
}
