//! The same with the real mock, where this host has one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{io::Write as _, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use farm_builder::{BuildOutcome, MockConfig, MockDriver};
use farm_types::{Cause, Stage};
use tempfile::TempDir;

use crate::{
    asked,
    common::{Build, Built, SMALL, mounts_with, platform, processes_with, script},
};

/// A driver of the real mock, if there is one. It builds on the packages of mini12.
async fn real() -> Option<(TempDir, MockDriver)> {
    if !["/usr/local/bin/mock", "/usr/bin/mock"].iter().any(|path| Path::new(path).exists()) {
        // Not by eprintln!, which nobody sees of a test that passes.
        let why = "SKIPPED: there is no mock on this host; install the package mock to test the driver with it\n";
        std::io::stderr().write_all(why.as_bytes()).unwrap();
        return None;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let config_dir = folder.path().join("etc");
    std::fs::create_dir(&config_dir).unwrap();
    for file in ["site-defaults.cfg", "logging.ini"] {
        if let Ok(text) = std::fs::read(Path::new("/etc/mock").join(file)) {
            std::fs::write(config_dir.join(file), text).unwrap();
        }
    }
    let recipe = platform("mini12");
    let text = include_str!("mini12.cfg.in")
        .replace("@FOLDER@", folder.path().to_str().unwrap())
        .replace("@BASE@", &recipe.base.join(" "))
        .replace("@URL@", recipe.repositories[0].baseurl.as_deref().unwrap());
    std::fs::write(config_dir.join("mini12-x86_64.cfg"), text).unwrap();
    let config = MockConfig { config_dir, allow_simple_isolation: true, ..MockConfig::default() };
    let driver = MockDriver::new(&folder.path().join("data"), config).await.unwrap();
    Some((folder, driver))
}

async fn build(change: impl FnOnce(Build) -> Build, spec: &str) -> Option<Built> {
    let (folder, driver) = real().await?;
    let built = change(Build::new("mini12", &[spec])).run(&driver).await;
    for kept in ["data/mock", "roots"] {
        let left: Vec<_> = std::fs::read_dir(folder.path().join(kept)).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}\n{}", built.log);
    }
    let path = folder.path().to_str().unwrap();
    assert_eq!((processes_with(path), mounts_with(path)), (Vec::new(), Vec::new()));
    Some(built)
}

async fn fails(spec: &str, cause: Cause, stage: Stage) {
    let Some(built) = build(|build| build, spec).await else { return };
    assert_eq!((built.failure().cause, built.failure().stage), (cause, stage), "{:?}\n{}", built.failure(), built.log);
}

#[tokio::test]
async fn a_c_package_with_a_check_builds() {
    let Some(built) = build(|build| build, SMALL).await else { return };
    assert_eq!(built.packages().len(), 2, "{}", built.log);
    assert_eq!(built.stages.first(), Some(&Stage::Chroot));
    for stage in [Stage::Dependencies, Stage::Prep, Stage::Build, Stage::Check, Stage::Collect] {
        assert!(built.stages.contains(&stage), "{stage}\n{}", built.log);
    }
}

#[tokio::test]
async fn a_failing_build_is_the_packages_fault() {
    fails(&script(&[("BUILD", "false")]), Cause::Build, Stage::Build).await;
}

#[tokio::test]
async fn a_failing_check_is_the_packages_fault() {
    fails(&script(&[("CHECK", "false")]), Cause::Check, Stage::Check).await;
}

#[tokio::test]
async fn a_missing_requirement_is_named() {
    let Some(built) = build(|build| build, &script(&[("PREAMBLE", "BuildRequires: no-such-package")])).await else {
        return;
    };
    assert_eq!(built.failure().cause, Cause::Dependencies, "{:?}\n{}", built.failure(), built.log);
    assert!(built.failure().message.contains("no-such-package"), "{:?}", built.failure());
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_not_valid() {
    let spoil = |build: Build| {
        std::fs::write(&build.request.sources[0], "not a package").unwrap();
        build
    };
    let Some(built) = build(spoil, &script(&[])).await else { return };
    assert_eq!(built.failure().cause, Cause::SourceInvalid, "{:?}\n{}", built.failure(), built.log);
}

#[tokio::test]
async fn a_build_that_takes_too_long_is_ended() {
    let limit = |build: Build| build.limits(|limits| limits.timeout = Duration::from_secs(20));
    let Some(built) = build(limit, &script(&[("BUILD", "trap '' TERM; while :; do sleep 1000 || :; done")])).await
    else {
        return;
    };
    assert_eq!((built.failure().cause, built.failure().stage), (Cause::Timeout, Stage::Build), "{}", built.log);
}

#[tokio::test]
async fn a_build_is_cancelled() {
    let cancel = |mut build: Build| {
        build.cancel_at = Some(Stage::Build);
        build
    };
    let Some(built) = build(cancel, &script(&[("BUILD", "sleep 1000")])).await else { return };
    assert_eq!(built.outcome(), &BuildOutcome::Cancelled);
}

#[tokio::test]
async fn a_source_may_need_what_another_of_the_job_brings() {
    let Some((_folder, driver)) = real().await else { return };
    let user = script(&[("PREAMBLE", "BuildRequires: small"), ("BUILD", "/usr/bin/small")]);
    let built = Build::new("mini12", &[&user, SMALL]).run(&driver).await;
    assert_eq!(built.packages().len(), 4, "{}", built.log);
}

#[tokio::test]
async fn what_a_job_asks_for_reaches_rpmbuild_and_the_record_says_what_was_installed() {
    let ask = |mut build: Build| {
        build.request.options = serde_json::from_value(asked::wishes()).unwrap();
        build
    };
    let Some(built) = build(ask, &asked::curious()).await else { return };
    assert!(built.log.contains(asked::TASTE), "{}", built.log);
    // On Debian, rpm keeps its database in the home folder, and mock may ask in another one.
    let record = built.result.unwrap().record;
    let packages = record.iter().flat_map(|record| &record.buildroots).flat_map(|root| &root.packages);
    let has_gcc = packages.clone().any(|package| package.name == "gcc" && package.epoch == Some(4));
    assert!(has_gcc || record.is_none() && Path::new("/etc/debian_version").exists(), "{record:?}");
}
