//! The build of one source package, from its chroot to its packages.

use std::path::{Path, PathBuf};

use farm_rpm::{Dependency, Limits};
use farm_types::{Cause, Stage};

use super::{
    asked::machine,
    attempt::{Attempt, farm_clock, source_name},
    dependencies::{Refusal, missing, refusal},
    failure::{End, MISSING_REQUIRES},
    files, needs, results,
};
use crate::{
    driver::BuiltFile,
    sandbox::{Answer, Chroot, Collect, Collection, Order, Script},
};

/// Rounds of `%generate_buildrequires` before we give up.
const MOST_ROUNDS: u32 = 10;

/// The feature that rpm writes into source packages with `%generate_buildrequires`.
const DYNAMIC: &str = "rpmlib(DynamicBuildRequires)";

/// One source package.
pub struct Source<'a, 'b> {
    attempt: &'a mut Attempt<'b>,
    position: usize,
    /// Names its folders: a source that goes to the back of the line comes again.
    label: String,
    chroot: Chroot,
}

impl<'a, 'b> Source<'a, 'b> {
    /// The source at a position, for the `round`th build of this attempt.
    pub fn new(attempt: &'a mut Attempt<'b>, position: usize, round: usize) -> Self {
        let label = format!("{position}-{round}");
        let changes = attempt.folder.join(format!("chroot-{label}"));
        let chroot = Chroot { tree: attempt.tree.clone(), changes };
        Self { attempt, position, label, chroot }
    }

    /// Builds it. Its chroot is gone afterwards.
    pub async fn build(mut self) -> Result<Vec<BuiltFile>, End> {
        let built = self.stages().await;
        if built.is_ok() || matches!(&built, Err(End::Failed(failure)) if failure.cause == Cause::Dependencies) {
            // Else the whole folder of the build goes.
            self.attempt.step(&Order::Remove { path: self.chroot.changes.clone() }).await?;
        }
        built
    }

    async fn stages(&mut self) -> Result<Vec<BuiltFile>, End> {
        self.attempt.journal.stage(Stage::Source).await;
        let needs = self.rebuild_source().await?;
        self.attempt.journal.stage(Stage::Dependencies).await;
        self.install(&needs, 0).await?;
        if needs.iter().any(|need| need.name == DYNAMIC) {
            self.dynamic_requires().await?;
        }
        match self.run(Script::Build).await? {
            0 => {}
            MISSING_REQUIRES => return Err(End::of_rpmbuild(self.attempt.journal, MISSING_REQUIRES)),
            status => return Err(End::of_rpmbuild(self.attempt.journal, status)),
        }
        self.attempt.journal.stage(Stage::Collect).await;
        if self.collect(Collect::Binaries, "results").await?.files.is_empty() {
            return Err(self.attempt.failed(Cause::Install, "rpmbuild succeeded and made no package"));
        }
        self.keep("results").await
    }

    /// Unpacks the source package and packs it again with the platform's macros; answers what that says it needs.
    async fn rebuild_source(&mut self) -> Result<Vec<Dependency>, End> {
        match self.run(Script::Source).await? {
            0 => {}
            status => {
                let why =
                    self.attempt.journal.seen().first_telling().map(|line| format!(": {line}")).unwrap_or_default();
                return Err(self.attempt.failed(Cause::SourceInvalid, format!("{}{why}", source_failure(status))));
            }
        }
        let collection = self.collect(Collect::Source, "results").await?;
        let [name] = collection.files.as_slice() else {
            let why = "rebuilding the source package did not make one source package";
            return Err(self.attempt.failed(Cause::SourceInvalid, why));
        };
        self.needs_of(&self.folder("results").join(name))
    }

    /// What a source package that was made in the chroot needs. Read here, by our own reader: never by the rpm program.
    fn needs_of(&self, path: &Path) -> Result<Vec<Dependency>, End> {
        let report = farm_rpm::read_source(path, &Limits::default())
            .map_err(|error| self.attempt.fault(Cause::Internal, error.to_string()))?;
        match report.package {
            Some(package) => Ok(package.build_requires),
            None => {
                let why = report.problems.first().map(ToString::to_string).unwrap_or_default();
                Err(self
                    .attempt
                    .failed(Cause::SourceInvalid, format!("the rebuilt source package cannot be read: {why}")))
            }
        }
    }

    /// Lets the spec say what else it needs, until it is content.
    async fn dynamic_requires(&mut self) -> Result<(), End> {
        let mut known = Vec::new();
        for round in 1..=MOST_ROUNDS {
            let script = if round == 1 { Script::FirstRequires } else { Script::MoreRequires };
            let status = self.run(script).await?;
            if status != 0 && status != MISSING_REQUIRES {
                return Err(End::of_rpmbuild(self.attempt.journal, status));
            }
            let needs = self.generated_needs(round).await?;
            if status == 0 || needs == known {
                return Ok(());
            }
            self.install(&needs, round).await?;
            known = needs;
        }
        let why = format!("%generate_buildrequires asked for more {MOST_ROUNDS} times");
        Err(self.attempt.failed(Cause::Dependencies, why))
    }

    async fn generated_needs(&mut self, round: u32) -> Result<Vec<Dependency>, End> {
        let folder = format!("requires-{round}");
        let collection = self.collect(Collect::Requires, &folder).await?;
        let mut needs = Vec::new();
        for name in collection.files {
            needs.extend(self.needs_of(&self.folder(&folder).join(name))?);
        }
        Ok(needs)
    }

    /// Installs what is needed. If that cannot be had, says which of it.
    async fn install(&mut self, needs: &[Dependency], round: u32) -> Result<(), End> {
        let needs: Vec<Dependency> = needs.iter().filter(|need| !need.is_rpmlib()).cloned().collect();
        if needs.is_empty() {
            return Ok(());
        }
        let package = self.needs_package(&format!("farm-build-requires-{}-{round}", self.label), &needs)?;
        self.attempt.journal.begin(false);
        if self.dnf(vec![package], false).await? == 0 {
            return Ok(());
        }
        match refusal(self.attempt.journal.seen().lines()) {
            Refusal::Unsolvable(why) => self.explain(&needs, why).await,
            Refusal::Repository(why) => Err(self.attempt.repository_trouble(&why)),
            Refusal::Other(why) => Err(self.attempt.fault(Cause::Chroot, format!("dnf failed: {why}"))),
        }
    }

    /// Asks for each dependency by itself, to name those that cannot be had.
    async fn explain(&mut self, needs: &[Dependency], why: String) -> Result<(), End> {
        let mut packages = Vec::new();
        for (n, need) in needs.iter().enumerate() {
            packages.push(self.needs_package(&needs::single_name(n), std::slice::from_ref(need))?);
        }
        self.attempt.journal.say("asking for each of them by itself").await;
        self.attempt.journal.begin(false);
        self.dnf(packages, true).await?;
        let missing = missing(self.attempt.journal.seen().lines(), needs.len());
        self.attempt.missing = missing.iter().filter_map(|n| needs.get(*n)).cloned().collect();
        let names: Vec<String> = self.attempt.missing.iter().map(ToString::to_string).collect();
        let platform = &self.attempt.request.platform.name;
        let message = if names.is_empty() {
            format!("the BuildRequires cannot be installed together on {platform}: {why}")
        } else {
            format!("{platform} cannot provide: {}", names.join(", "))
        };
        Err(self.attempt.failed(Cause::Dependencies, message))
    }

    fn needs_package(&mut self, name: &str, needs: &[Dependency]) -> Result<PathBuf, End> {
        let path = self.attempt.folder.join("in").join(format!("{name}.rpm"));
        let absolute = self.attempt.helpers.data.join(&path);
        let written = needs::write_package(&absolute, name, needs).map_err(|error| error.to_string());
        written.and_then(|()| files::let_read(&absolute).map_err(|error| error.to_string())).map_err(|error| {
            self.attempt.fault(Cause::Internal, format!("cannot write {}: {error}", absolute.display()))
        })?;
        Ok(path)
    }

    async fn dnf(&mut self, packages: Vec<PathBuf>, explain: bool) -> Result<i32, End> {
        let results = self.attempt.has_results.then(|| self.attempt.folder.join("results"));
        let dnf = self.attempt.dnf(results.is_some());
        // What comes over the network goes into one cache, and dnf's own locks do not work across process namespaces.
        let _lock = match dnf.network {
            true => {
                let (helpers, clock) = (self.attempt.helpers, farm_clock(self.attempt.cancel));
                let cache = self.chroot.tree.join("cache");
                Some(self.attempt.trees.lock(&helpers.data, &cache, self.attempt.journal, &clock).await?)
            }
            false => None,
        };
        let order = Order::Install { chroot: self.chroot.clone(), packages, results, dnf, explain };
        match self.attempt.step(&order).await? {
            Answer::Exit(code) => Ok(code),
            answer => Err(self.attempt.fault(Cause::Internal, format!("unexpected answer {answer:?}"))),
        }
    }

    /// Runs a script and answers rpmbuild's status.
    async fn run(&mut self, script: Script) -> Result<i32, End> {
        let source =
            (script == Script::Source).then(|| self.attempt.folder.join("in").join(source_name(self.position)));
        let network = self.attempt.request.network && self.attempt.request.platform.network;
        let (arguments, narrow) = (self.attempt.arguments(), machine(&self.attempt.request.platform).is_some());
        let order = Order::Run { chroot: self.chroot.clone(), script, source, network, arguments, narrow };
        let code = self.attempt.run_script(&order, script).await?;
        Ok(if (100..128).contains(&code) || code > 228 { code - 100 } else { code })
    }

    /// Picks packages out of the chroot, in which nothing runs any more.
    async fn collect(&mut self, kind: Collect, folder: &str) -> Result<Collection, End> {
        let into = self.attempt.folder.join(format!("{folder}-{}", self.label));
        let most_bytes = self.attempt.request.limits.result_bytes;
        let order = Order::Collect { chroot: self.chroot.clone(), kind, into, most_bytes };
        let Answer::Collected(collection) = self.attempt.step(&order).await? else {
            return Err(self.attempt.fault(Cause::Internal, "unexpected answer to the order to collect"));
        };
        for refused in &collection.refused {
            self.attempt.journal.say(&format!("left behind: {refused}")).await;
        }
        if collection.too_large {
            let why = format!("the packages grew beyond the limit of {most_bytes} bytes");
            return Err(self.attempt.failed(Cause::OutputTooLarge, why));
        }
        Ok(collection)
    }

    /// The folder of [`Source::collect`].
    fn folder(&self, name: &str) -> PathBuf {
        self.attempt.path(format!("{name}-{}", self.label))
    }

    /// Checks the packages of a folder and puts them where results go.
    async fn keep(&mut self, folder: &str) -> Result<Vec<BuiltFile>, End> {
        let (from, into) = (self.folder(folder), self.attempt.request.results.clone());
        let kept = tokio::task::spawn_blocking(move || results::keep_all(&from, &into)).await;
        match kept.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(Ok(files)) => Ok(files),
            Ok(Err(why)) => Err(self.attempt.failed(Cause::Install, why)),
            Err(error) => Err(self.attempt.fault(Cause::Internal, format!("cannot keep the results: {error}"))),
        }
    }
}

/// Why the source package did not make it, by the status of `build.sh`.
const fn source_failure(status: i32) -> &'static str {
    match status {
        64 => "the source package has no spec",
        65 => "the source package has more than one spec",
        66 => "rpm cannot unpack the source package",
        _ => "rpmbuild refuses the spec",
    }
}
