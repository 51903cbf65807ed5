//! Dependency layers: made once, shared, never of other packages than were asked for, and evicted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::{Path, PathBuf};

use common::{Build, driver, driver_with, kept, processes_with, script};
use farm_builder::{BuildOutcome, NativeDriver};
use farm_testing::{DEADLINE, eventually};
use tokio::sync::OnceCell;

/// What dnf says when it is asked, and when it has installed.
const SOLVED: &str = "Dependencies resolved";
const INSTALLED: &str = "Complete!";

/// A folder that only the tests of this file use, and in one run: what is in it at first is a base tree.
async fn fresh() -> &'static Path {
    static DATA: OnceCell<PathBuf> = OnceCell::const_new();
    DATA.get_or_init(async || {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layers");
        // Base trees take their time and may stay.
        let driver = driver_with(data.clone(), None).await;
        Build::new("mini12", &[&script(&[])]).run(&driver).await.packages();
        for layer in kept(&data, "layers") {
            assert!(std::process::Command::new("rm").arg("-rf").arg(layer).status().unwrap().success());
        }
        for tree in std::fs::read_dir(data.join("layers")).unwrap() {
            let _ = std::fs::remove_dir_all(tree.unwrap().path().join("wishes"));
        }
        data
    })
    .await
}

/// Builds a package that needs this.
async fn build(driver: &NativeDriver, needs: &str, script_of_build: &str) -> String {
    let parts = [("PREAMBLE", format!("BuildRequires: {needs}")), ("BUILD", script_of_build.to_owned())];
    let parts: Vec<_> = parts.iter().map(|(part, text)| (*part, text.as_str())).collect();
    let built = Build::new("mini12", &[&script(&parts)]).run(driver).await;
    built.packages();
    built.log
}

/// The layer that a build had, by its log.
fn layer_of(log: &str) -> &str {
    let line = log.lines().find(|line| line.contains("packages over the base tree"));
    line.unwrap_or_else(|| panic!("no layer in\n{log}")).rsplit(' ').next().unwrap()
}

#[tokio::test]
async fn who_asks_for_what_was_asked_before_starts_no_dnf() {
    let driver = driver(fresh().await.to_owned()).await;
    let first = build(&driver, "autoconf, flex", "flex --version; autoconf --version").await;
    assert!(first.contains(INSTALLED), "{first}");
    let second = build(&driver, "flex, autoconf", "flex --version; autoconf --version").await;
    assert!(!second.contains(SOLVED), "{second}");
    assert_eq!(layer_of(&first), layer_of(&second));
}

#[tokio::test]
async fn other_words_for_the_same_packages_are_solved_and_share_their_layer() {
    let driver = driver(fresh().await.to_owned()).await;
    let first = build(&driver, "libexpat1-dev", ":").await;
    let second = build(&driver, "libexpat1-dev, libexpat1", ":").await;
    assert!(!second.contains(INSTALLED), "{second}");
    assert_eq!(layer_of(&first), layer_of(&second));
}

#[tokio::test]
async fn what_the_base_tree_has_takes_no_layer() {
    let driver = driver(fresh().await.to_owned()).await;
    for _ in 0..2 {
        let log = build(&driver, "gcc, rpm-build", "gcc --version").await;
        assert!(!log.contains(INSTALLED) && !log.contains("over the base tree"), "{log}");
    }
}

#[tokio::test]
async fn a_layer_has_what_was_asked_for_and_nothing_of_ours() {
    let driver = driver(fresh().await.to_owned()).await;
    let check = "rpm -q libtool; rpm -qa | grep farm-build-requires && exit 1; :";
    for _ in 0..2 {
        let log = build(&driver, "libtool", check).await;
        assert!(log.lines().any(|line| line.starts_with("libtool-2")), "{log}");
    }
}

#[tokio::test]
async fn ten_builds_at_once_make_one_layer() {
    let data = fresh().await;
    // Two drivers, as of two builders on one host.
    let (one, two) = (driver(data.to_owned()).await, driver(data.to_owned()).await);
    let builds = (0..10).map(|n| build(if n % 2 == 0 { &one } else { &two }, "texinfo", "makeinfo --version"));
    let logs = futures::future::join_all(builds).await;
    assert_eq!(logs.iter().filter(|log| log.contains(INSTALLED)).count(), 1);
    assert!(logs.iter().all(|log| layer_of(log) == layer_of(&logs[0])));
}

#[tokio::test]
async fn what_a_job_has_built_itself_comes_into_no_layer_of_others() {
    let data = tempfile::tempdir().unwrap();
    let driver = driver(data.path().to_owned()).await;
    let one = script(&[]);
    let two =
        script(&[("PREAMBLE", "BuildRequires: script, bison"), ("BUILD", "cat /usr/share/script/file; bison -V")])
            .replace("Name: script", "Name: two")
            .replace("/usr/share/script\n", "/usr/share/two\n")
            .replace("%{buildroot}/usr/share/script", "%{buildroot}/usr/share/two");
    let three = two.replace("Name: two", "Name: three").replace("BuildRequires: script, bison", "BuildRequires: bison");
    let three = three.replace("cat /usr/share/script/file", "test ! -e /usr/share/script");
    let built =
        Build::new("mini12", &[&one, &two, &three.replace("/usr/share/two", "/usr/share/three")]).run(&driver).await;
    assert_eq!(built.packages().len(), 6, "{}", built.log);
    let layers = kept(data.path(), "layers");
    assert_eq!(layers.len(), 1, "{layers:?}");
    let packages = std::fs::read_to_string(layers[0].join("packages")).unwrap();
    assert!(packages.contains("bison") && !packages.contains("script"), "{packages}");
}

#[tokio::test]
async fn what_is_in_use_is_not_evicted_and_what_was_used_least_recently_is() {
    let data = tempfile::tempdir().unwrap();
    let mark = format!("mark-{}-evicted", std::process::id());
    let builder = driver(data.path().to_owned()).await;
    build(&builder, "bison", ":").await;

    let needs = [("PREAMBLE", "BuildRequires: flex"), ("BUILD", &format!("(exec -a {mark} sleep 1000)"))];
    let hanging = Build::new("mini12", &[&script(&needs)]);
    let cancel = hanging.cancel.clone();
    let watch = async {
        let hangs = || processes_with(&mark).iter().any(|process| process.contains("1000"));
        eventually("the build to hang", DEADLINE, async || hangs().then_some(())).await;
        assert_eq!((kept(data.path(), "layers").len(), kept(data.path(), "trees").len()), (2, 1));
        // Another builder on this host, with no room at all.
        let _greedy = driver_with(data.path().to_owned(), Some(1)).await;
        eventually("the eviction", DEADLINE, async || (kept(data.path(), "layers").len() == 1).then_some(())).await;
        let left = std::fs::read_to_string(kept(data.path(), "layers")[0].join("packages")).unwrap();
        assert!(left.contains("flex") && !left.contains("bison"), "{left}");
        assert_eq!(kept(data.path(), "trees").len(), 1);
        cancel.cancel();
    };
    let (built, ()) = tokio::join!(hanging.run(&builder), watch);
    assert_eq!(built.outcome(), &BuildOutcome::Cancelled);

    let _greedy = driver_with(data.path().to_owned(), Some(1)).await;
    let is_empty = || ["trees", "layers", "gone"].iter().all(|what| kept(data.path(), what).is_empty());
    eventually("everything to be evicted", DEADLINE, async || is_empty().then_some(())).await;
    // Nothing is missing afterwards.
    assert!(build(&builder, "bison", "bison -V").await.contains(INSTALLED));
}
