//! One build: all sources of a request, in one folder of its own below `work/`.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    time::Duration,
};

use farm_rpm::Dependency;
use farm_types::{Cause, Stage};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    cell::Cell,
    failure::End,
    files,
    helper::{Helpers, StepEnd},
    inventory::Inventories,
    lineup::{self, Lack, Member},
    record::Chroots,
    results,
    source::Source,
    trees::Trees,
    watch::{Clock, Journal, Stop},
};
use crate::{
    driver::{BuildRequest, BuiltFile},
    sandbox::{Answer, Order, Script},
};

/// How long a step of the farm's own may take: installing packages, making a base tree, copying.
const FARM_STEP: Duration = Duration::from_secs(30 * 60);

/// A clock for steps of the farm's own.
pub fn farm_clock(cancel: &CancellationToken) -> Clock {
    Clock { ends: Instant::now() + FARM_STEP, silence: FARM_STEP, cancel: cancel.clone() }
}

/// How a script ended.
pub struct Ran {
    /// The status of `build.sh`.
    pub code: i32,
    /// What was ordered with it came to this.
    pub rest: Vec<Answer>,
}

/// One build.
pub struct Attempt<'a> {
    pub helpers: &'a Helpers,
    /// What its steps are locked into.
    pub cell: &'a Cell<'a>,
    pub trees: &'a Trees,
    pub request: &'a BuildRequest,
    pub journal: &'a mut Journal,
    pub cancel: &'a CancellationToken,
    /// Its folder, relative to the data folder.
    pub folder: PathBuf,
    /// The base tree, once it is ready.
    pub tree: PathBuf,
    /// When the time of the package's own steps is up.
    pub ends: Instant,
    /// Whether there is a repository of what was built so far.
    pub has_results: bool,
    pub inventories: &'a Inventories,
    /// For the record.
    pub chroots: Chroots,
    /// What the source that failed last needs and cannot have, as far as it is known by name.
    pub missing: Vec<Dependency>,
}

impl Attempt<'_> {
    /// Builds everything.
    pub async fn run(&mut self) -> Result<Vec<BuiltFile>, End> {
        self.journal.stage(Stage::Chroot).await;
        self.journal.say(&self.cell.isolation.line(&self.request.limits)).await;
        match (self.request.network, self.request.platform.network) {
            (true, true) => self.journal.say("this build has the network of the host").await,
            // It did when the job was accepted.
            (true, false) => self.journal.say("the platform lets no build use the network any more").await,
            (false, _) => {}
        }
        self.tell_what_is_asked().await;
        self.bring_sources().await?;
        let clock = farm_clock(self.cancel);
        let (tree, _used) = match &self.request.like {
            None => self.trees.ready(self.helpers, &self.request.platform, self.journal, &clock).await?,
            Some(like) => {
                let recipe = self.recipe_like(like)?;
                let tree = self.trees.ready(self.helpers, &recipe, self.journal, &clock).await;
                tree.map_err(|end| self.end_like(end))?
            }
        };
        self.tree = tree;
        self.note_base();
        // Waiting for the base tree is not the package's fault.
        self.ends = Instant::now() + self.request.limits.timeout;
        let before = &self.request.predecessors;
        if !before.is_empty() {
            self.offer(before).await?;
        }
        self.build_all().await
    }

    /// A source that lacks another's result goes to the back of the line, as long as there is progress.
    async fn build_all(&mut self) -> Result<Vec<BuiltFile>, End> {
        let count = self.request.sources.len();
        let members = lineup::read(&self.request.sources);
        let mut line = VecDeque::from(lineup::order(&members));
        let (mut built, mut lacks, mut in_vain, mut round) = (Vec::new(), BTreeMap::new(), 0, 0);
        while let Some(position) = line.pop_front() {
            if count > 1 {
                self.journal.of_source(u32::try_from(position).ok());
                self.journal.say(&format!("source {position} of {count}")).await;
            }
            round += 1;
            self.missing.clear();
            match Source::new(self, position, round).build().await {
                Ok(files) => {
                    built.extend(files);
                    in_vain = 0;
                    lacks.remove(&position);
                    if !line.is_empty() {
                        self.offer(&built).await?;
                    }
                }
                Err(End::Failed(failure)) if failure.cause == Cause::Dependencies && count > 1 => {
                    let message = failure.message;
                    lacks.insert(position, Lack { missing: std::mem::take(&mut self.missing), message });
                    if in_vain == line.len() {
                        return Err(self.stuck(&members, &lacks).await);
                    }
                    self.journal.say(&format!("source {position} waits for what the others bring")).await;
                    in_vain += 1;
                    line.push_back(position);
                }
                Err(end) => return Err(end),
            }
        }
        Ok(built)
    }

    /// There is no progress any more: says of each source that is left what it lacks.
    async fn stuck(&mut self, members: &[Member], lacks: &BTreeMap<usize, Lack>) -> End {
        let (message, lines) = lineup::stuck(members, self.request.platform.name.as_str(), lacks);
        // The lines that say why are these, and not what dnf said of the one that was tried last.
        self.journal.begin(false);
        for line in lines {
            self.journal.say(&line).await;
        }
        self.failed(Cause::Dependencies, message)
    }

    /// Brings the sources to where a helper may read them, named by position: never by what a user calls them.
    async fn bring_sources(&mut self) -> Result<(), End> {
        let folder = self.path("in");
        let result = async {
            files::helpers_folder(&folder, self.helpers.ids.root)?;
            for (n, source) in self.request.sources.iter().enumerate() {
                let target = folder.join(source_name(n + 1));
                fs_err::tokio::copy(source, &target).await?;
                files::let_read(&target)?;
            }
            Ok::<_, std::io::Error>(())
        };
        result
            .await
            .map_err(|error| self.fault(Cause::Internal, format!("cannot bring the sources to the build: {error}")))
    }

    /// Makes packages available to the sources that follow: what was built before, by this job or others.
    async fn offer(&mut self, built: &[BuiltFile]) -> Result<(), End> {
        let folder = self.folder.join("results");
        results::offer(built, &self.helpers.data.join(&folder), self.helpers.ids.root).map_err(|error| {
            self.fault(Cause::Internal, format!("cannot offer results to the next source: {error}"))
        })?;
        match self.step(&Order::Index { folder }).await? {
            Answer::Exit(0) => self.has_results = true,
            other => return Err(self.fault(Cause::Internal, format!("createrepo_c failed: {other:?}"))),
        }
        Ok(())
    }

    /// Whether packages may be installed that nobody but this job answers for: what it has built so far, and what it names itself.
    pub fn brings_packages(&self) -> bool {
        self.has_results || !self.request.repositories.is_empty()
    }

    /// The clock for what the package does.
    fn clock(&self) -> Clock {
        Clock { ends: self.ends, silence: self.request.limits.silence_timeout, cancel: self.cancel.clone() }
    }

    /// Runs a step of the farm's own: what stops it is the farm's fault, unless it is what packages of the job's own do.
    pub async fn step(&mut self, order: &Order) -> Result<Answer, End> {
        let is_its_own = self.brings_packages() && order.runs_packages();
        let clock = if is_its_own { self.clock() } else { farm_clock(self.cancel) };
        match self.cell.run(order, self.journal, &clock).await {
            Ok(StepEnd::Answer(Answer::Broken(why))) => Err(self.fault(Cause::Chroot, why)),
            Ok(StepEnd::Answer(answer)) => Ok(answer),
            Ok(StepEnd::Stopped(Stop::Cancelled)) => Err(End::Cancelled),
            Ok(StepEnd::Stopped(stop @ (Stop::Timeout | Stop::Silent))) if !is_its_own => {
                Err(self.fault(Cause::Chroot, format!("a step of the farm was ended: {stop:?}")))
            }
            // The packages that it installs are the ones that the build asks for.
            Ok(StepEnd::Stopped(stop)) => Err(End::stopped(self.journal, stop, &self.request.limits)),
            Err(error) => Err(self.fault(Cause::Internal, error.to_string())),
        }
    }

    /// Runs a script of the package's own, and what is ordered with it, and answers how rpmbuild ended and what the rest came to: what
    /// stops it is the package's fault.
    pub async fn run_script(&mut self, order: Order, script: Script, rest: Vec<Order>) -> Result<Ran, End> {
        let order = match rest.is_empty() {
            true => order,
            false => Order::All([vec![order], rest].concat()),
        };
        let clock = self.clock();
        self.journal.begin(script == Script::Build);
        match self.cell.run(&order, self.journal, &clock).await {
            Ok(StepEnd::Answer(Answer::All(mut answers))) if !answers.is_empty() => {
                let first = answers.remove(0);
                self.ran(first, answers)
            }
            Ok(StepEnd::Answer(answer)) => self.ran(answer, Vec::new()),
            Ok(StepEnd::Stopped(stop)) => Err(End::stopped(self.journal, stop, &self.request.limits)),
            Err(error) => Err(self.fault(Cause::Internal, error.to_string())),
        }
    }

    fn ran(&self, answer: Answer, rest: Vec<Answer>) -> Result<Ran, End> {
        match answer {
            // See build.sh: its own codes, rpmbuild's plus 100; 1 is bubblewrap's.
            Answer::Exit(1) => Err(self.fault(Cause::Chroot, "bubblewrap could not start the build; the log says why")),
            Answer::Exit(code) => Ok(Ran { code, rest }),
            Answer::Broken(why) => Err(self.fault(Cause::Chroot, why)),
            answer => Err(self.fault(Cause::Internal, format!("unexpected answer {answer:?}"))),
        }
    }

    /// The farm's fault.
    pub fn fault(&self, cause: Cause, message: impl Into<String>) -> End {
        End::fault(self.journal, cause, message)
    }

    /// The package's fault.
    pub fn failed(&self, cause: Cause, message: impl Into<String>) -> End {
        End::failed(self.journal, cause, message)
    }

    /// The absolute path of something in the build's folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.helpers.data.join(&self.folder).join(name)
    }
}

/// What the source at a position is called in the build's folder.
pub fn source_name(position: usize) -> String {
    format!("source-{position}.src.rpm")
}
