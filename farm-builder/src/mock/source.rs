//! The build of one source package by one run of mock.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use farm_api::record::Buildroot;
use farm_types::{Cause, Stage};

use super::{
    asked,
    attempt::Attempt,
    logs::{Logs, last_error},
    manifest,
    phase::Phase,
    process::Running,
    verdict::{Ended, verdict},
};
use crate::{
    driver::BuiltFile,
    native::{
        failure::End,
        files::let_read,
        results,
        watch::{FollowError, Stop},
    },
    sandbox::{Collection, collect_from},
};

/// How often to look at the logs. (What mock writes is seen that much later, by people who read along.)
const PAUSE: Duration = Duration::from_millis(100);

/// How long the farm's own steps may take: making the chroot, waiting for locks, installing packages.
const FARM_STEP: Duration = Duration::from_secs(30 * 60);

/// mock's own clock goes for rpmbuild alone. It is a second net, and strikes that much after ours.
const AFTER_OURS: Duration = Duration::from_secs(60);

/// One source package.
pub struct Source<'a, 'b> {
    attempt: &'a mut Attempt<'b>,
    position: usize,
    /// Names its files: a source that goes to the back of the line comes again.
    label: String,
}

impl<'a, 'b> Source<'a, 'b> {
    /// The source at a position, for the `round`th build of this attempt.
    pub fn new(attempt: &'a mut Attempt<'b>, position: usize, round: usize) -> Self {
        Self { attempt, position, label: format!("{position}-{round}") }
    }

    /// Builds it. Its chroot is gone afterwards.
    pub async fn build(mut self) -> Result<Vec<BuiltFile>, End> {
        let (folder, console) = (self.path("results"), self.path("console"));
        let source = self.bring(&folder).map_err(|error| self.internal("bring the source to mock", &error))?;
        let arguments = self.arguments(&source, &folder);
        self.attempt.journal.begin(true);
        let mut logs = Logs::new(&folder);
        let host = self.attempt.host;
        let mut running = host.start(&arguments, &console).map_err(|error| self.internal("start mock", &error))?;
        let watched = self.watch(&mut running, &mut logs).await;
        // Whoever has told it to end does not wait.
        if !matches!(watched, Err(End::Cancelled)) {
            self.note_chroot(&folder).await;
        }
        let code = match watched {
            Ok(code) => code,
            Err(end) => {
                if let Err(error) = running.stop().await {
                    tracing::warn!(%error, "mock cannot be ended");
                }
                tidy(self.attempt, &console).await;
                return Err(end);
            }
        };
        if code != 0 {
            let end = self.verdict(code, &logs, &console);
            if !host.isolation.own_processes || code > 128 {
                tidy(self.attempt, &console).await;
            }
            return Err(end);
        }
        self.attempt.journal.stage(Stage::Collect).await;
        self.collect(&folder).await
    }

    /// Writes down what the source was built in, if it came so far.
    async fn note_chroot(&mut self, results: &Path) {
        let attempt = &mut *self.attempt;
        let packages = match manifest::installed(results) {
            Ok(packages) if packages.is_empty() => return,
            Ok(packages) => packages,
            Err(error) => {
                attempt.journal.say(&format!("no record is kept of the chroot: {error}")).await;
                return;
            }
        };
        let caches = attempt.caches().await;
        let states = caches.states();
        let listed = packages.clone();
        let completed = tokio::task::spawn_blocking(move || caches.complete(packages)).await;
        let packages = completed.unwrap_or_else(|_| listed.into_iter().map(|one| one.package).collect());
        attempt.chroots.repositories = states;
        let source = u32::try_from(self.position).unwrap_or(u32::MAX);
        attempt.chroots.buildroots.retain(|buildroot| buildroot.source != source);
        attempt.chroots.buildroots.push(Buildroot { source, layers: Vec::new(), packages });
    }

    fn path(&self, name: &str) -> PathBuf {
        self.attempt.folder.join(format!("{name}-{}", self.label))
    }

    /// Brings the source to where mock may read it, named by position: never by what a user calls it.
    fn bring(&self, results: &Path) -> io::Result<PathBuf> {
        self.attempt.host.folder_for_mock(results)?;
        let from = self.attempt.request.sources.get(self.position - 1);
        let from = from.ok_or_else(|| io::Error::other("there is no such source"))?;
        let target = self.attempt.folder.join(format!("source-{}.src.rpm", self.position));
        fs_err::copy(from, &target)?;
        let_read(&target)?;
        Ok(target)
    }

    fn arguments(&self, source: &Path, results: &Path) -> Vec<OsString> {
        let attempt = &self.attempt;
        let mut arguments = attempt.chroot.options();
        let clock = attempt.request.limits.timeout + AFTER_OURS;
        arguments.extend(["--isolation".into(), attempt.host.isolation.word().into()]);
        arguments.extend(["--rpmbuild_timeout".into(), clock.as_secs().to_string().into()]);
        arguments.extend(["--resultdir".into(), results.into(), "--cleanup-after".into()]);
        if attempt.request.uses_network() {
            arguments.push("--enable-network".into());
        }
        if let Some(repository) = &attempt.repository {
            let mut url = OsString::from("file://");
            url.push(repository);
            arguments.extend(["--addrepo".into(), url]);
        }
        arguments.extend(asked::options(attempt.request));
        arguments.extend(["--rebuild".into(), source.into()]);
        arguments
    }

    /// Watches mock to its end and answers its exit code.
    async fn watch(&mut self, running: &mut Running, logs: &mut Logs) -> Result<i32, End> {
        let cancel = self.attempt.cancel;
        let mut ticks = tokio::time::interval(PAUSE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let ended = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(End::Cancelled),
                ended = running.ended() => Some(ended),
                _ = ticks.tick() => None,
            };
            let followed = tokio::select! {
                biased;
                // Whoever listens to the log may be slow.
                () = cancel.cancelled() => return Err(End::Cancelled),
                followed = logs.follow(self.attempt.journal, ended.is_some()) => followed,
            };
            followed.map_err(|error| self.broken(error))?;
            match ended {
                Some(Ok(code)) => return Ok(code),
                Some(Err(error)) => return Err(self.internal("wait for mock", &error)),
                None => self.look_at_clocks(logs)?,
            }
        }
    }

    /// Where the package works, its clocks count; where the farm does, the farm's.
    fn look_at_clocks(&mut self, logs: &Logs) -> Result<(), End> {
        let limits = &self.attempt.request.limits;
        if logs.phase >= Phase::Setup {
            let ends = *self.attempt.ends.get_or_insert_with(|| tokio::time::Instant::now() + limits.timeout);
            let is_packages = !logs.installing;
            if is_packages && tokio::time::Instant::now() >= ends {
                return Err(End::stopped(self.attempt.journal, Stop::Timeout, limits));
            }
            if is_packages && logs.last_word.elapsed() >= limits.silence_timeout {
                return Err(End::stopped(self.attempt.journal, Stop::Silent, limits));
            }
            if is_packages {
                return Ok(());
            }
        }
        if Instant::now().duration_since(logs.phase_began) >= FARM_STEP {
            let minutes = FARM_STEP.as_secs() / 60;
            let why = format!("mock took longer than {minutes} minutes for a step of its own; root.log says which");
            return Err(End::fault(self.attempt.journal, Cause::Chroot, why));
        }
        Ok(())
    }

    fn broken(&self, error: FollowError) -> End {
        match error {
            FollowError::Stop(stop) => End::stopped(self.attempt.journal, stop, &self.attempt.request.limits),
            FollowError::Io(error) => self.internal("read mock's logs", &error),
        }
    }

    fn internal(&self, what: &str, error: &io::Error) -> End {
        End::fault(self.attempt.journal, Cause::Internal, format!("cannot {what}: {error}"))
    }

    fn verdict(&self, code: i32, logs: &Logs, console: &Path) -> End {
        let ended = Ended {
            code,
            phase: logs.phase,
            installing: logs.installing,
            said: last_error(console),
            platform: self.attempt.request.platform.name.as_str(),
            config: &self.attempt.chroot.config.display().to_string(),
        };
        verdict(&ended, self.attempt.journal)
    }

    /// Picks the packages out of what mock has brought.
    async fn collect(&mut self, from: &Path) -> Result<Vec<BuiltFile>, End> {
        let (into, limits) = (self.path("kept"), &self.attempt.request.limits);
        let (most, most_files) = (limits.result_bytes, limits.results);
        let (from, target, keep) = (from.to_owned(), self.attempt.request.results.clone(), into.clone());
        let picked = tokio::task::spawn_blocking(move || collect_from(&from, &keep, most, most_files)).await;
        let picked: Collection = match picked.map_err(anyhow::Error::from).and_then(|picked| picked) {
            Ok(picked) => picked,
            Err(error) => return Err(self.internal("collect the results", &io::Error::other(format!("{error:#}")))),
        };
        for refused in &picked.refused {
            self.attempt.journal.say(&format!("left behind: {refused}")).await;
        }
        let journal = &*self.attempt.journal;
        if picked.too_large {
            let why = format!("the packages grew beyond the limit of {most} bytes");
            return Err(End::failed(journal, Cause::OutputTooLarge, why));
        }
        if picked.too_many {
            let why = format!("the build made more packages than the limit of {most_files}");
            return Err(End::failed(journal, Cause::OutputTooLarge, why));
        }
        if !picked.files.iter().any(|name| !name.ends_with(".src.rpm")) {
            return Err(End::failed(journal, Cause::Install, "mock succeeded and made no package"));
        }
        let kept = tokio::task::spawn_blocking(move || results::keep_all(&into, &target)).await;
        match kept.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(Ok(files)) => Ok(files),
            Ok(Err(why)) => Err(End::failed(journal, Cause::Install, why)),
            Err(error) => Err(self.internal("keep the results", &error)),
        }
    }
}

/// Lets mock remove what a run of it has left that did not come to its own end.
async fn tidy(attempt: &mut Attempt<'_>, console: &Path) {
    if !super::driver::tidy(attempt.host, &attempt.chroot, console).await {
        attempt.is_unclean = true;
        attempt.journal.say("mock could not clean its chroot; the next start of the builder tries again").await;
    }
}
