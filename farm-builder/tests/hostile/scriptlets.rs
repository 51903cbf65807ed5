//! Packages of a repository whose scriptlets mean harm. They run as root of the chroot.

use std::{fs, net::TcpListener, path::Path, process::Command, time::Duration};

use farm_api::recipe::Repository;
use farm_testing::DEADLINE;
use farm_types::{Cause, Stage};
use tempfile::TempDir;

use crate::{
    common::{Build, Built, driver, groups_of, mounts_with, processes_with, shared_data},
    support::{bounds_builds_as_a_whole, lines, mark, nothing_is_left, small, spec},
};

/// A repository with the package `evil`, whose `%post` does this.
fn repository(words: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = folder.path().join("evil.spec");
    fs::write(&path, spec("evil", words)).unwrap();
    let top = format!("_topdir {}", folder.path().join("top").display());
    let rpms = format!("_rpmdir {}", folder.path().join("repository").display());
    run(Command::new("rpmbuild").args(["-bb", "--define", &top, "--define", &rpms]).arg(path));
    run(Command::new("createrepo_c").arg("--quiet").arg(folder.path().join("repository")));
    open_to_all(folder.path());
    folder
}

fn open_to_all(path: &Path) {
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(path));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run deploy/setup"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn described(repository: &TempDir) -> Repository {
    Repository {
        name: "evil".to_owned(),
        baseurl: Some(format!("file://{}", repository.path().join("repository").display())),
        metalink: None,
        gpgcheck: false,
        gpgkey: None,
        priority: None,
        enabled: true,
    }
}

/// Builds what requires it. The base tree has no part in it, so that of the other tests is used.
async fn build(repository: &TempDir, id_mark: &str) -> Built {
    let mut build = Build::new("mini12", &[&spec("requires-evil", &[])]).limits(small);
    build.request.platform.repositories.push(described(repository));
    let data = tempfile::tempdir_in("/var/tmp").unwrap();
    let id = build.request.id.to_string();
    let built = build.run(&driver(data.path().to_owned()).await).await;
    assert_eq!(processes_with(id_mark), [""; 0]);
    assert_eq!(mounts_with(&id), [""; 0]);
    assert!(groups_of(&id).is_empty());
    assert_eq!(fs::read_dir(data.path().join("work")).unwrap().count(), 0);
    built
}

#[tokio::test]
async fn scriptlets_of_a_repository_get_no_right_on_the_host() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    let (port, process, mark) =
        (listener.local_addr().unwrap().port().to_string(), std::process::id().to_string(), mark());
    let words = [
        ("PORT", port.as_str()),
        ("PROCESS", &process),
        ("MARK", &mark),
        ("SECRETS", secret.path().to_str().unwrap()),
        ("POST", ":"),
    ];
    let built = build(&repository(&words), &mark).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);
    assert_eq!(lines(&built.log, "GOT"), [""; 0], "{}", built.log);
    // It did run, as root of nothing but the chroot.
    let shown: Vec<_> = built.log.lines().skip_while(|line| *line != "+ cat /evil-pre").skip(1).collect();
    assert_eq!(shown.first(), Some(&"0"), "{}", built.log);
    assert!(!shown.iter().any(|line| line.starts_with('b')), "a device: {shown:?}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
}

#[tokio::test]
async fn scriptlets_that_want_all_memory_get_no_more_than_the_build() {
    if !bounds_builds_as_a_whole() {
        return;
    }
    let mark = mark();
    let post = "head -c 64G /dev/zero | tail -c 60G > /dev/null; exit 1";
    let words =
        [("PORT", "1"), ("PROCESS", "999999"), ("MARK", mark.as_str()), ("SECRETS", "/nothing"), ("POST", post)];
    let built = build(&repository(&words), &mark).await;
    // It need not fail: a %post that is ended is a warning to rpm. Then the log has it.
    match built.outcome() {
        farm_builder::BuildOutcome::Failed(failure) => {
            assert_eq!((failure.cause, failure.stage), (Cause::OutOfMemory, Stage::Dependencies), "{}", built.log);
        }
        _ => panic!("it had all that it wanted\n{}", built.log),
    }
}

#[tokio::test]
async fn scriptlets_that_fill_the_disk_get_no_more_of_it_than_the_build() {
    let mark = mark();
    let post = "for n in 1 2 3; do head -c 100M /dev/zero > /filler-$n; done; sleep 1000";
    let words =
        [("PORT", "1"), ("PROCESS", "999999"), ("MARK", mark.as_str()), ("SECRETS", "/nothing"), ("POST", post)];
    let built = build(&repository(&words), &mark).await;
    let failure = built.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::DiskFull, Stage::Dependencies), "{failure:?}\n{}", built.log);
}

/// Builds what requires a package whose `%post` does this, and which the job itself brings.
async fn build_after(post: &str, timeout: Duration) -> Built {
    let mark = mark();
    let words =
        [("PORT", "1"), ("PROCESS", "999999"), ("MARK", mark.as_str()), ("SECRETS", "/nothing"), ("POST", post)];
    let repository = repository(&words);
    let mut build = Build::new("mini12", &[&spec("requires-evil", &[])]).limits(small);
    build.request.repositories.push(described(&repository));
    build.request.limits.timeout = timeout;
    let id = build.request.id.to_string();
    let built = build.run(&driver(shared_data()).await).await;
    nothing_is_left(&id, &mark);
    built
}

#[tokio::test]
async fn a_chroot_whose_programs_a_package_has_replaced_is_that_packages_fault() {
    let rpm = |script: &str| format!("printf '#!/bin/sh\\n{script}\\n' > /usr/bin/rpm");
    for (post, words) in [
        (rpm("head -c 20000000 /dev/zero"), "more than"),
        (rpm("exec yes"), "more than"),
        (rpm("exit 3"), "cannot list what is installed"),
        (rpm("echo nonsense"), "in an unknown form"),
        ("rm -f /usr/bin/bash".to_owned(), "cannot list what is installed"),
        ("rm -rf $(rpm --eval %%{_dbpath})".to_owned(), "cannot list what is in the chroot"),
    ] {
        let built = build_after(&post, DEADLINE).await;
        let failure = built.failure();
        assert_eq!((failure.cause, failure.stage), (Cause::Dependencies, Stage::Dependencies), "{post}: {failure:?}");
        assert!(failure.message.contains(words), "{post}: {failure:?}");
    }
}

#[tokio::test]
async fn scriptlets_of_the_jobs_own_packages_take_no_longer_than_the_build_may() {
    let building = build_after("sleep 1000", Duration::from_secs(20));
    let built = tokio::time::timeout(DEADLINE, building).await.expect("it goes on after its time is up");
    let failure = built.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::Timeout, Stage::Dependencies), "{failure:?}\n{}", built.log);
}
