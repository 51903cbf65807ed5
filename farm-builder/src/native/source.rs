//! The build of one source package, from its chroot to its packages.

use std::path::{Path, PathBuf};

use farm_rpm::{Dependency, Limits};
use farm_types::{Cause, Stage};

use super::{
    asked::machine,
    attempt::{Attempt, Ran, source_name},
    cell::SCRATCH,
    dependencies::{Refusal, missing, refusal},
    failure::{End, MISSING_REQUIRES},
    layers::{Granted, Layer},
    needs, results,
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
    /// What lies over the base tree, from when it is known what is needed.
    layer: Option<Layer>,
}

impl<'a, 'b> Source<'a, 'b> {
    /// The source at a position, for the `round`th build of this attempt.
    pub fn new(attempt: &'a mut Attempt<'b>, position: usize, round: usize) -> Self {
        let label = format!("{position}-{round}");
        let changes = attempt.folder.join(SCRATCH).join(format!("chroot-{label}"));
        let chroot = Chroot { tree: attempt.tree.clone(), layer: None, changes };
        Self { attempt, position, label, chroot, layer: None }
    }

    /// Builds it. Its chroot is gone afterwards, unless the whole attempt is over.
    pub async fn build(mut self) -> Result<Vec<BuiltFile>, End> {
        let built = self.stages().await;
        if matches!(&built, Err(End::Failed(failure)) if failure.cause == Cause::Dependencies) {
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
            self.dynamic_requires(&needs).await?;
        }
        self.note_buildroot().await?;
        match self.run(Script::Build, Vec::new()).await? {
            (0, _) => {}
            (status, _) => return Err(End::of_rpmbuild(self.attempt.journal, status)),
        }
        self.attempt.journal.stage(Stage::Collect).await;
        if self.pick_binaries().await?.files.is_empty() {
            return Err(self.attempt.failed(Cause::Install, "rpmbuild succeeded and made no package"));
        }
        self.keep("results").await
    }

    /// Writes down what is installed now that the build begins.
    async fn note_buildroot(&mut self) -> Result<(), End> {
        let shared = |layer: &PathBuf| !layer.starts_with(&self.attempt.folder);
        let same = match &self.chroot.layer {
            None => Some(self.chroot.tree.clone()),
            Some(layer) => Some(layer.clone()).filter(shared),
        };
        let layers = self.chroot.layer.iter().filter(|layer| shared(layer)).filter_map(|layer| layer.file_name());
        let layers = layers.map(|name| name.to_string_lossy().into_owned()).collect();
        let inventories = self.attempt.inventories;
        let packages = match inventories.of(self.attempt, &self.chroot, same.as_deref()).await {
            Ok(packages) => packages,
            Err(end) => return Err(self.whose(end).await),
        };
        self.attempt.note_buildroot(self.position, layers, packages.to_vec());
        match &self.attempt.request.like {
            Some(like) => self.attempt.check_like(like, &packages),
            None => Ok(()),
        }
    }

    /// Unpacks the source package and packs it again with the platform's macros; answers what that says it needs.
    async fn rebuild_source(&mut self) -> Result<Vec<Dependency>, End> {
        let pick = self.picking(Collect::Source, "results");
        let (status, mut rest) = self.run(Script::Source, vec![pick]).await?;
        match status {
            0 => {}
            status => {
                let why =
                    self.attempt.journal.seen().first_telling().map(|line| format!(": {line}")).unwrap_or_default();
                return Err(self.attempt.failed(Cause::SourceInvalid, format!("{}{why}", source_failure(status))));
            }
        }
        let collection = self.picked(rest.pop()).await?;
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
    async fn dynamic_requires(&mut self, fixed: &[Dependency]) -> Result<(), End> {
        let mut known = Vec::new();
        for round in 1..=MOST_ROUNDS {
            let script = if round == 1 { Script::FirstRequires } else { Script::MoreRequires };
            let (status, _) = self.run(script, Vec::new()).await?;
            if status != 0 && status != MISSING_REQUIRES {
                return Err(End::of_rpmbuild(self.attempt.journal, status));
            }
            let needs = self.generated_needs(round).await?;
            if status == 0 || needs == known {
                return Ok(());
            }
            // Each layer lies over the base tree, not over the one before.
            self.install(&[fixed, &needs].concat(), round).await?;
            known = needs;
        }
        let why = format!("%generate_buildrequires asked for more {MOST_ROUNDS} times");
        Err(self.attempt.failed(Cause::Dependencies, why))
    }

    async fn generated_needs(&mut self, round: u32) -> Result<Vec<Dependency>, End> {
        let folder = format!("requires-{round}");
        let answer = self.attempt.step(&self.picking(Collect::Requires, &folder)).await?;
        let collection = self.picked(Some(answer)).await?;
        let mut needs = Vec::new();
        for name in collection.files {
            needs.extend(self.needs_of(&self.folder(&folder).join(name))?);
        }
        Ok(needs)
    }

    /// Installs what is needed. If that cannot be had, says which of it.
    async fn install(&mut self, needs: &[Dependency], round: u32) -> Result<(), End> {
        let needs: Vec<Dependency> = needs.iter().filter(|need| !need.is_rpmlib()).cloned().collect();
        match self.attempt.layer(&format!("{}-{round}", self.label), &needs).await? {
            Granted::Layer(layer) => {
                self.chroot.layer.clone_from(&layer.path);
                self.layer = Some(layer);
                return Ok(());
            }
            Granted::Refused => {}
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
            packages.push(self.attempt.needs_package(&needs::single_name(n), std::slice::from_ref(need))?);
        }
        self.attempt.journal.say("asking for each of them by itself").await;
        self.attempt.journal.begin(false);
        let results = self.attempt.has_results.then(|| self.attempt.folder.join("results"));
        let dnf = self.attempt.dnf(results.is_some());
        self.attempt.step(&Order::Explain { chroot: self.chroot.clone(), packages, results, dnf }).await?;
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

    /// Runs a script and what is ordered with it; answers rpmbuild's status, and what the rest came to.
    async fn run(&mut self, script: Script, rest: Vec<Order>) -> Result<(i32, Vec<Answer>), End> {
        let source =
            (script == Script::Source).then(|| self.attempt.folder.join("in").join(source_name(self.position)));
        let network = self.attempt.request.uses_network();
        let (arguments, narrow) = (self.attempt.arguments(), machine(&self.attempt.request.platform).is_some());
        let order = Order::Run { chroot: self.chroot.clone(), script, source, network, arguments, narrow };
        let Ran { code, rest } = match self.attempt.run_script(order, script, rest).await {
            Ok(ran) => ran,
            // Nothing of the package's has run before that.
            Err(end) if script == Script::Source => return Err(end),
            Err(end) => return Err(self.whose(end).await),
        };
        Ok((if (100..128).contains(&code) || code > 228 { code - 100 } else { code }, rest))
    }

    /// Whose fault it is that something cannot be done in the chroot: if a program can be started in a new one over the base tree alone,
    /// that of what was installed or done here since.
    async fn whose(&mut self, end: End) -> End {
        let End::Fault(error) = end else { return end };
        if error.cause != Cause::Chroot {
            return End::Fault(error);
        }
        let (cause, what) = match &self.chroot.layer {
            Some(_) => (Cause::Dependencies, "what is needed leaves a chroot that cannot be used"),
            None => (Cause::Build, "the build leaves a chroot that cannot be used"),
        };
        let end = self.attempt.failed(cause, format!("{what}: {}", error.message));
        let changes = self.attempt.folder.join(SCRATCH).join(format!("bare-{}", self.label));
        let order = Order::Run {
            chroot: Chroot { tree: self.chroot.tree.clone(), layer: None, changes },
            script: Script::Probe,
            source: None,
            network: self.attempt.request.uses_network(),
            arguments: Vec::new(),
            narrow: machine(&self.attempt.request.platform).is_some(),
        };
        match self.attempt.run_script(order, Script::Probe, Vec::new()).await {
            Ok(Ran { code: 0, .. }) => end,
            Err(End::Cancelled) => End::Cancelled,
            _ => End::Fault(error),
        }
    }

    /// The order to pick packages out of the chroot, in which nothing runs any more.
    fn picking(&self, kind: Collect, folder: &str) -> Order {
        let into = self.attempt.folder.join(format!("{folder}-{}", self.label));
        let (most_bytes, most_files) = (self.attempt.request.limits.result_bytes, self.attempt.request.limits.results);
        Order::Collect { chroot: self.chroot.clone(), kind, into, most_bytes, most_files }
    }

    /// What came of that.
    async fn picked(&mut self, answer: Option<Answer>) -> Result<Collection, End> {
        let collection = match answer {
            Some(Answer::Collected(collection)) => collection,
            Some(Answer::Broken(why)) => return Err(self.attempt.fault(Cause::Chroot, why)),
            answer => {
                let why = format!("unexpected answer to the order to collect: {answer:?}");
                return Err(self.attempt.fault(Cause::Internal, why));
            }
        };
        for refused in &collection.refused {
            self.attempt.journal.say(&format!("left behind: {refused}")).await;
        }
        if collection.too_large {
            let most_bytes = self.attempt.request.limits.result_bytes;
            let why = format!("the packages grew beyond the limit of {most_bytes} bytes");
            return Err(self.attempt.failed(Cause::OutputTooLarge, why));
        }
        if collection.too_many {
            let most_files = self.attempt.request.limits.results;
            let why = format!("the build made more packages than the limit of {most_files}");
            return Err(self.attempt.failed(Cause::OutputTooLarge, why));
        }
        Ok(collection)
    }

    /// Picks the binary packages; then the chroot has done its work.
    async fn pick_binaries(&mut self) -> Result<Collection, End> {
        let remove = Order::Remove { path: self.chroot.changes.clone() };
        let orders = Order::All(vec![self.picking(Collect::Binaries, "results"), remove]);
        let answer = match self.attempt.step(&orders).await? {
            Answer::All(answers) => answers.into_iter().next(),
            answer => Some(answer),
        };
        self.picked(answer).await
    }

    /// Where [`Source::picking`] puts what it picks.
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
