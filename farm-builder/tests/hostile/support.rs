//! What every attack has in common: small limits, and a look at the host before and after.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use farm_builder::{BuildLimits, NativeDriver, cgroup::Cgroups, native::ScratchPlace};
use farm_types::{Cause, Stage};

use crate::common::{Build, Built, driver, groups_of, mounts_with, processes_with, script, shared_data};

/// A word that no other process on this host has.
pub fn mark() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    format!("hostile-{}-{}-", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A spec of `specs/`, with the words between @ signs filled in.
pub fn spec(name: &str, words: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/specs").join(format!("{name}.spec"));
    let mut text = fs::read_to_string(&path).unwrap();
    for (word, value) in words {
        text = text.replace(&format!("@{word}@"), value);
    }
    text
}

/// Limits that an attack runs into soon.
pub fn small(limits: &mut BuildLimits) {
    *limits = BuildLimits {
        timeout: Duration::from_secs(60),
        silence_timeout: Duration::from_secs(60),
        log_bytes: 2 << 20,
        result_bytes: 8 << 20,
        results: 20,
        memory_bytes: 512 << 20,
        processes: 200,
        disk_bytes: 128 << 20,
        files: 20_000,
        ..BuildLimits::default()
    };
}

/// Whether all processes of a build are bounded together on this host. Where they are not, it says so: then the tests of an ordinary user
/// show what bounds each of them by itself.
pub fn bounds_builds_as_a_whole() -> bool {
    match Cgroups::look() {
        Ok(_) => true,
        Err(why) => {
            // Not by eprintln!, which nobody sees of a test that passes.
            let said = format!("SKIPPED: nothing bounds a build as a whole on this host: {why}\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            false
        }
    }
}

/// One attack.
pub struct Attack {
    pub build: Build,
    pub mark: String,
    place: ScratchPlace,
}

impl Attack {
    pub fn new(name: &str) -> Self {
        Self::with(name, &[])
    }

    pub fn with(name: &str, words: &[(&str, &str)]) -> Self {
        let mark = mark();
        let words: Vec<_> = words.iter().copied().chain([("MARK", mark.as_str())]).collect();
        let build = Build::new("mini12", &[&spec(name, &words)]).limits(small);
        // As `auto` has it where there are control groups.
        Self { build, mark, place: ScratchPlace::Memory }
    }

    pub fn limits(mut self, change: impl FnOnce(&mut BuildLimits)) -> Self {
        self.build = self.build.limits(change);
        self
    }

    pub fn on_disk(mut self) -> Self {
        self.place = ScratchPlace::Disk;
        self
    }

    /// Builds it, and looks that nothing has changed and nothing is left.
    pub async fn run(self) -> Built {
        let driver = driver(shared_data()).await.with_scratch(self.place);
        let (host, id) = (Host::look(), self.build.request.id.to_string());
        let built = self.build.run(&driver).await;
        nothing_is_left(&id, &self.mark);
        assert_eq!(host, Host::look(), "the host has changed");
        next_build_succeeds(&driver).await;
        built
    }

    /// The same for one that fails.
    pub async fn fails(self, cause: Cause, stage: Stage) -> Built {
        let built = self.run().await;
        let failure = built.failure();
        let tail: Vec<&str> = built.log.lines().rev().take(20).collect();
        assert_eq!((failure.cause, failure.stage), (cause, stage), "{failure:?}\n{tail:#?}");
        built
    }
}

async fn next_build_succeeds(driver: &NativeDriver) {
    let built = Build::new("mini12", &[&script(&[])]).limits(small).run(driver).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);
}

/// No process, mount, control group or file of a build.
pub fn nothing_is_left(id: &str, mark: &str) {
    assert_eq!(processes_with(mark), [""; 0]);
    assert_eq!(mounts_with(id), [""; 0]);
    assert!(groups_of(id).is_empty(), "{:?}", groups_of(id));
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(id);
    let left: Vec<_> = fs::read_dir(shared_data().join("work")).unwrap().flatten().filter(name).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What a build could change of the host if it were let.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    name: String,
    mounts: String,
    top: Vec<String>,
    files: Vec<(PathBuf, Vec<u8>)>,
    swaps: String,
    /// Seconds by which the clock differs from the one that nobody can set.
    clock: i64,
}

impl Host {
    fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let files = ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/subuid", "/etc/hosts", "/etc/ld.so.cache"];
        let mut top: Vec<_> =
            fs::read_dir("/").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        top.sort();
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec
            - rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
        Self {
            name: read("/proc/sys/kernel/hostname"),
            mounts: read("/proc/self/mounts"),
            top,
            files: files.iter().map(|path| (path.into(), fs::read(path).unwrap_or_default())).collect(),
            swaps: read("/proc/swaps"),
            // Two clocks that are read one after the other.
            clock: (clock + 5) / 10,
        }
    }
}

/// Lines of a log that begin with a word.
pub fn lines<'a>(log: &'a str, word: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.split(' ').next() == Some(word)).collect()
}
