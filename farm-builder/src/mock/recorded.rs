//! What mock 6.7 really wrote, for each way in which it ends: `tests/mock/logs`. Paths and long tables are shortened.

use std::path::{Path, PathBuf};

use farm_types::{Cause, Stage};
use tokio::sync::mpsc;

use super::{
    logs::{Logs, last_error},
    manifest,
    phase::Phase,
    verdict::{Ended, verdict},
};
use crate::native::{failure::End, watch::Journal};

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mock/logs").join(case)
}

/// Follows the logs of a case to their end.
async fn follow(case: &str) -> (Logs, Journal) {
    let (events, mut listener) = mpsc::channel(64);
    tokio::spawn(async move { while listener.recv().await.is_some() {} });
    let mut journal = Journal::new(events, 1 << 20);
    journal.stage(Stage::Chroot).await;
    journal.begin(true);
    let mut logs = Logs::new(&folder(case));
    logs.follow(&mut journal, true).await.unwrap();
    (logs, journal)
}

async fn judge(case: &str, code: i32) -> (End, Phase) {
    let (logs, journal) = follow(case).await;
    let ended = Ended {
        code,
        phase: logs.phase,
        installing: logs.installing,
        said: last_error(&folder(case).join("console")),
        platform: "mini12-x86_64",
        config: "/srv/mini12-x86_64.cfg",
    };
    (verdict(&ended, &journal), logs.phase)
}

async fn failed(case: &str, code: i32, cause: Cause, stage: Stage, words: &str) {
    let (End::Failed(failure), _) = judge(case, code).await else { panic!("{case} is the package's fault") };
    assert_eq!((failure.cause, failure.stage), (cause, stage), "{case}: {failure:?}");
    assert!(failure.message.contains(words), "{case}: {failure:?}");
}

async fn fault(case: &str, code: i32, cause: Cause, words: &str) {
    let (End::Fault(error), _) = judge(case, code).await else { panic!("{case} is the farm's fault") };
    assert_eq!(error.cause, cause, "{case}: {error}");
    assert!(error.message.contains(words), "{case}: {error}");
}

#[tokio::test]
async fn a_build_that_succeeds_comes_to_rpmbuild_and_has_its_stages() {
    let (logs, journal) = follow("success").await;
    assert_eq!(logs.phase, Phase::Rpmbuild);
    let noted = journal.finish();
    let mut stages: Vec<Stage> = noted.stages.iter().map(|(stage, _)| *stage).collect();
    stages.dedup();
    for stage in [Stage::Chroot, Stage::Source, Stage::Prep, Stage::Build, Stage::Install, Stage::Check] {
        assert!(stages.contains(&stage), "{stage}: {stages:?}");
    }
    assert_eq!(manifest::installed(&folder("success")).unwrap().len(), 126);
}

#[tokio::test]
async fn what_a_package_does_wrong_is_told_from_what_it_does_right() {
    let undeclared = "%build failed: x.c:1:25: error: 'x' undeclared";
    failed("failing-build", 1, Cause::Build, Stage::Build, undeclared).await;
    failed("failing-check", 1, Cause::Check, Stage::Check, "%check failed: FAIL: adds").await;
    let lacking = "mini12-x86_64 cannot provide: no-such-package >= 2, pkgconfig(nowhere)";
    failed("missing-requirement", 30, Cause::Dependencies, Stage::Dependencies, lacking).await;
    failed("bad-spec", 1, Cause::SourceInvalid, Stage::Source, "not here").await;
    failed("no-package", 1, Cause::SourceInvalid, Stage::Source, "cannot read the header").await;
    failed("timeout", 11, Cause::Timeout, Stage::Build, "longer than mock was told").await;
}

#[tokio::test]
async fn what_the_host_does_wrong_is_never_put_down_to_the_package() {
    fault("terminated", 143, Cause::Internal, "something else on this host ended it").await;
    fault("locked", 60, Cause::Chroot, "it said: Build root is locked by another process.").await;
    let missing = "it said: builddep command missing. Please install package dnf-plugins-core.";
    fault("no-builddep", 10, Cause::Chroot, missing).await;
}

#[test]
fn what_mock_says_of_its_end_is_kept_in_a_line() {
    let said = |case: &str| last_error(&folder(case).join("console")).unwrap();
    assert_eq!(said("missing-requirement"), "Command failed: Error: Some packages could not be found.");
    let rpmbuild = "bash --login -c '/usr/bin/rpmbuild -bb  --target x86_64 --nodeps /builddir/build/SPECS/p.spec'";
    assert_eq!(said("failing-build"), format!("Command failed: {rpmbuild}"));
    assert_eq!(said("timeout"), format!("Timeout(3) expired for command: {rpmbuild}"));
}
