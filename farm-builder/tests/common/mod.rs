//! What the tests of the drivers share.
#![expect(dead_code, reason = "not every test uses everything")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use farm_api::recipe::Recipe;
use farm_builder::{
    BuildEvent, BuildLimits, BuildOutcome, BuildReport, BuildRequest, Driver, DriverError, Failure, NativeConfig,
    NativeDriver,
};
use farm_types::{FileName, Stage};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub mod repository;

/// The recipe of one of the mini platforms, `mini12` or `mini13`.
pub fn platform(release: &str) -> Recipe {
    let path = farm_testing::platform(release);
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A folder for drivers that keeps its base trees from run to run. (`FARM_BUILDER_DATA` lets another user run the tests.)
pub fn shared_data() -> PathBuf {
    std::env::var_os("FARM_BUILDER_DATA")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("farm-builder"), PathBuf::from)
}

/// A driver with the real program as its helper.
pub async fn driver(data: PathBuf) -> NativeDriver {
    driver_with(data, None).await
}

/// The same, that keeps no more than so many bytes for further builds.
pub async fn driver_with(data: PathBuf, cache_bytes: Option<u64>) -> NativeDriver {
    let helper = env!("CARGO_BIN_EXE_farm-builder").into();
    NativeDriver::new(NativeConfig { data, helper, cache_bytes, room: Default::default() }).await.unwrap()
}

/// What is kept in a data folder for further builds: base trees, or the layers over them.
pub fn kept(data: &Path, what: &str) -> Vec<PathBuf> {
    let folders = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()).collect());
        let paths: Vec<PathBuf> = entries.unwrap_or_default();
        let is_digest = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 64) && path.is_dir();
        paths.into_iter().filter(is_digest)
    };
    match what {
        "layers" => folders(data.join("layers")).flat_map(folders).collect(),
        _ => folders(data.join(what)).collect(),
    }
}

/// Packs a spec of ours into a source package.
pub fn pack(folder: &Path, spec: &str) -> PathBuf {
    let path = folder.join("package.spec");
    std::fs::write(&path, spec).unwrap();
    let top = folder.join("top");
    let output = Command::new("rpmbuild")
        .args(["-bs", "--nodeps", "--define"])
        .arg(format!("_topdir {}", top.display()))
        .arg(&path)
        .output()
        .expect("rpmbuild is not installed: run deploy/setup");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = std::fs::read_dir(top.join("SRPMS")).unwrap().next().unwrap().unwrap().path();
    let kept = folder.join(format!("{}.src.rpm", NUMBER.fetch_add(1, Ordering::Relaxed)));
    std::fs::rename(made, &kept).unwrap();
    kept
}

/// The spec of the small C package.
pub const SMALL: &str = include_str!("../packages/small.spec");

/// A spec whose parts are filled in: `[("BUILD", "false")]`.
pub fn script(parts: &[(&str, &str)]) -> String {
    let mut spec = include_str!("../packages/script.spec.in").to_owned();
    for (part, text) in parts {
        spec = spec.replace(&format!("@{part}@"), text);
    }
    for part in ["PREAMBLE", "SECTIONS", "PREP", "BUILD", "INSTALL", "CHECK", "FILES"] {
        spec = spec.replace(&format!("@{part}@"), "");
    }
    spec
}

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// A build that a test asks for.
pub struct Build {
    pub request: BuildRequest,
    pub cancel: CancellationToken,
    /// Cancel as soon as this stage begins.
    pub cancel_at: Option<Stage>,
    /// Tell this one as soon as the log has the line `ready`.
    pub said: Option<tokio::sync::oneshot::Sender<()>>,
    folder: TempDir,
}

/// What came of it.
pub struct Built {
    pub result: Result<BuildReport, DriverError>,
    pub log: String,
    pub stages: Vec<Stage>,
    /// Holds the results.
    pub folder: TempDir,
    /// When the order to cancel was given, if so.
    pub cancelled: Option<std::time::Instant>,
}

impl Build {
    pub fn new(release: &str, specs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = specs.iter().map(|spec| pack(folder.path(), spec)).collect();
        let results = folder.path().join("results");
        std::fs::create_dir(&results).unwrap();
        let id = format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let request = BuildRequest {
            id: id.parse::<FileName>().unwrap(),
            platform: platform(release),
            sources,
            results,
            limits: BuildLimits::default(),
            network: false,
            like: None,
            options: Default::default(),
            repositories: Vec::new(),
            predecessors: Vec::new(),
            remarks: Vec::new(),
        };
        Self { request, cancel: CancellationToken::new(), cancel_at: None, said: None, folder }
    }

    pub fn limits(mut self, change: impl FnOnce(&mut BuildLimits)) -> Self {
        change(&mut self.request.limits);
        self
    }

    pub async fn run(mut self, driver: &impl Driver) -> Built {
        let (sender, mut events) = mpsc::channel(64);
        let building = driver.build(self.request, sender, self.cancel.clone());
        let listening = async {
            let (mut log, mut stages, mut cancelled) = (Vec::new(), Vec::new(), None);
            while let Some(event) = events.recv().await {
                match event {
                    BuildEvent::Log(bytes) => {
                        log.extend_from_slice(&bytes);
                        if self.said.is_some() && String::from_utf8_lossy(&log).lines().any(|line| line == "ready") {
                            let _ = self.said.take().map(|said| said.send(()));
                        }
                    }
                    BuildEvent::StageBegan(stage) => {
                        stages.push(stage);
                        if self.cancel_at == Some(stage) {
                            cancelled = Some(std::time::Instant::now());
                            self.cancel.cancel();
                        }
                    }
                }
            }
            (String::from_utf8_lossy(&log).into_owned(), stages, cancelled)
        };
        let (result, (log, stages, cancelled)) = tokio::join!(building, listening);
        Built { result, log, stages, folder: self.folder, cancelled }
    }
}

impl Built {
    pub fn outcome(&self) -> &BuildOutcome {
        match &self.result {
            Ok(report) => &report.outcome,
            Err(error) => panic!("the farm failed: {error}\n{}", self.log),
        }
    }

    pub fn failure(&self) -> &Failure {
        match self.outcome() {
            BuildOutcome::Failed(failure) => failure,
            other => panic!("expected a failure, got {other:?}\n{}", self.log),
        }
    }

    /// Names of the packages, sorted.
    pub fn packages(&self) -> Vec<&str> {
        match self.outcome() {
            BuildOutcome::Succeeded { packages } => {
                let mut names: Vec<_> = packages.iter().map(|file| file.name.as_str()).collect();
                names.sort();
                names
            }
            other => panic!("expected success, got {other:?}\n{}", self.log),
        }
    }

    pub fn excerpt(&self) -> String {
        self.failure().excerpt.iter().map(|line| format!("{}\n", line.text)).collect()
    }
}

/// Processes on this host that mention `mark` in their command line or environment.
pub fn processes_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == std::process::id().to_string() {
            continue;
        }
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(entry.path().join(file)).unwrap_or_default();
            if text.windows(mark.len()).any(|part| part == mark.as_bytes()) {
                found.push(format!("{name}: {}", String::from_utf8_lossy(&text).replace('\0', " ")));
            }
        }
    }
    found
}

/// Mounts that some process sees and that mention `mark`.
pub fn mounts_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let mounts = std::fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        found.extend(mounts.lines().filter(|line| line.contains(mark)).map(str::to_owned));
    }
    found
}

/// Control groups of a build, of whatever version.
pub fn groups_of(id: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with("farm-") && name.ends_with(&format!("-{id}")) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}
