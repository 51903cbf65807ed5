//! Base trees: what they are made from, and when they are made anew.

mod common;

use common::{
    Build, Built, driver, kept, processes_with,
    repository::{Key, Repository},
    script,
};
use farm_testing::{DEADLINE, eventually};
use farm_types::Cause;

/// Without a compiler: what is built here needs none.
const BASE: &str = "buildsys-build";

/// Builds a package that needs `word` and shows it, on mini12 with one repository more.
async fn build(
    driver: &farm_builder::NativeDriver,
    repository: farm_api::recipe::Repository,
    base: Option<&str>,
) -> Built {
    let spec = script(&[("PREAMBLE", "BuildRequires: word"), ("BUILD", "echo word: $(cat /usr/share/word/file)")]);
    let mut build = Build::new("mini12", &[&spec]);
    build.request.platform.repositories.push(repository);
    build.request.platform.base = [BASE].into_iter().chain(base).map(str::to_owned).collect();
    build.run(driver).await
}

fn said(built: &Built, word: &str) -> bool {
    built.packages();
    built.log.lines().any(|line| line == format!("word: {word}"))
}

#[tokio::test]
async fn metadata_that_changed_makes_another_tree_and_other_layers() {
    let data = tempfile::tempdir().unwrap();
    let (driver, repository) = (driver(data.path().to_owned()).await, Repository::new());
    repository.add("word", "1", "first", "");
    for _ in 0..2 {
        assert!(said(&build(&driver, repository.described(), None).await, "first"));
    }
    assert_eq!((kept(data.path(), "trees").len(), kept(data.path(), "layers").len()), (1, 1));
    repository.add("word", "2", "second", "");
    assert!(said(&build(&driver, repository.described(), None).await, "second"));
    assert_eq!((kept(data.path(), "trees").len(), kept(data.path(), "layers").len()), (2, 2));
}

#[tokio::test]
async fn a_base_tree_may_hold_a_group() {
    let data = tempfile::tempdir().unwrap();
    let (driver, repository) = (driver(data.path().to_owned()).await, Repository::new());
    repository.add("word", "1", "of the group", "");
    repository.index_with_group("words", &["word"]);
    let built = build(&driver, repository.described(), Some("@words")).await;
    assert!(said(&built, "of the group"), "{}", built.log);
    assert!(!built.log.contains("packages over the base tree"), "{}", built.log);
}

#[tokio::test]
async fn only_packages_with_a_good_signature_are_installed_where_one_is_asked_for() {
    let data = tempfile::tempdir().unwrap();
    let driver = driver(data.path().to_owned()).await;
    let (good, other) = (Key::new(), Key::new());
    let keys = tempfile::tempdir().unwrap();
    std::fs::set_permissions(keys.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let url = good.export(&keys.path().join("good.asc"));

    let repository = Repository::new();
    good.sign(&repository.add("good", "1", "-", ""));
    other.sign(&repository.add("other", "1", "-", ""));
    repository.add("unsigned", "1", "-", "");
    repository.index();
    let mut described = repository.described();
    (described.gpgcheck, described.gpgkey) = (true, Some(url));
    for name in ["good", "other", "unsigned"] {
        let mut build = Build::new("mini12", &[&script(&[("PREAMBLE", &format!("BuildRequires: {name}"))])]);
        build.request.platform.repositories.push(described.clone());
        build.request.platform.base = vec![BASE.to_owned()];
        let built = build.run(&driver).await;
        if name == "good" {
            assert_eq!(built.packages().len(), 2, "{}", built.log);
            continue;
        }
        let error = built.result.unwrap_err();
        assert_eq!(error.cause, Cause::Chroot, "{error}");
        let telling = error.message.contains(&format!("{name}-1-1.noarch")) && error.message.contains("signature");
        assert!(telling, "{error}\n{}", built.log);
    }
}

#[tokio::test]
async fn a_tree_and_a_layer_that_a_killed_builder_left_half_made_are_never_used() {
    // What no other process sleeps.
    let seconds = 100_000 + std::process::id();
    for base in [true, false] {
        let data = tempfile::tempdir().unwrap();
        let repository = Repository::new();
        repository.add("word", "1", "half", &format!("%post\nsleep {seconds}"));
        let victim = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "a_builder_to_be_killed"])
            .env("FARM_TEST_DATA", data.path())
            .env("FARM_TEST_REPOSITORY", repository.folder())
            .env("FARM_TEST_BASE", if base { "word" } else { "" })
            .stdout(std::process::Stdio::null())
            .spawn();
        let mut victim = victim.unwrap();
        let installs = || !processes_with(&format!("sleep\x00{seconds}")).is_empty();
        eventually("the scriptlet to run", DEADLINE, async || installs().then_some(())).await;
        victim.kill().unwrap();
        victim.wait().unwrap();

        // The same package, now one that can be installed.
        repository.add("word", "1", "whole", "");
        let driver = driver(data.path().to_owned()).await;
        assert_eq!(std::fs::read_dir(data.path().join("work")).unwrap().count(), 0);
        assert_eq!(kept(data.path(), "trees").len(), usize::from(!base));
        assert_eq!(kept(data.path(), "layers").len(), 0);
        let built = build(&driver, repository.described(), base.then_some("word")).await;
        assert!(said(&built, "whole"), "{}", built.log);
    }
}

#[tokio::test]
#[ignore = "the victim of a_tree_and_a_layer_that_a_killed_builder_left_half_made_are_never_used"]
async fn a_builder_to_be_killed() {
    let driver = driver(std::env::var_os("FARM_TEST_DATA").unwrap().into()).await;
    let mut described = Repository::new().described();
    described.baseurl = Some(format!("file://{}", std::env::var("FARM_TEST_REPOSITORY").unwrap()));
    let base = std::env::var("FARM_TEST_BASE").unwrap();
    build(&driver, described, Some(base.as_str()).filter(|base| !base.is_empty())).await;
}
