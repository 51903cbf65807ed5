//! The builder as an ordinary user: with a range of subordinate ids, and nothing else that root would have.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use common::{Build, Built, SMALL, groups_of, mounts_with, processes_with, script};
use farm_builder::{
    Guard, NativeConfig, NativeDriver,
    cgroup::{Cgroups, Kind},
    native::ScratchPlace,
};
use farm_types::{Cause, Stage};

/// A user that no host has.
const USER: u32 = 61_234;

/// Plays an account with subordinate ids, in a mount namespace, so that the host's own files stay as they are.
const ACCOUNT: &str = r#"set -e
cd "$FOLDER"
for file in passwd group subuid subgid; do cp /etc/$file $file; chmod 644 $file; done
echo "farm-ordinary:x:$USER_ID:$USER_ID::$FOLDER:/bin/sh" >> passwd
echo "farm-ordinary:x:$USER_ID:" >> group
echo "farm-ordinary:786432:65536" | tee -a subuid >> subgid
for file in passwd group subuid subgid; do mount --bind $file /etc/$file; done
for program in test helper; do touch $program; done
mount --bind "$TEST" test
mount --bind "$HELPER" helper
exec setpriv --reuid $USER_ID --regid $USER_ID --clear-groups env -i PATH="$PATH" HOME="$FOLDER" TMPDIR="$FOLDER" \
    FARM_TEST_FOLDER="$FOLDER" RUST_BACKTRACE=0 ./test --ignored --exact --nocapture --test-threads 1 "$@"
"#;

#[test]
fn an_ordinary_user_builds_with_the_limits_that_there_are() {
    if !nix::unistd::geteuid().is_root() {
        // Then all the other tests are such builds.
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    chown(folder.path(), Some(USER), Some(USER)).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", ACCOUNT, "sh"])
        .args(["a_build_of_an_ordinary_user", "limits_of_an_ordinary_user"])
        .env("FOLDER", folder.path())
        .env("USER_ID", USER.to_string())
        .env("TEST", std::env::current_exe().unwrap())
        .env("HELPER", env!("CARGO_BIN_EXE_farm-builder"))
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("2 passed"), "{out}\n{err}");
}

async fn ordinary_driver(place: ScratchPlace) -> (NativeDriver, PathBuf) {
    assert!(!nix::unistd::geteuid().is_root());
    let folder = PathBuf::from(std::env::var_os("FARM_TEST_FOLDER").unwrap());
    let data = folder.join("data");
    let config =
        NativeConfig { data: data.clone(), helper: folder.join("helper"), cache_bytes: None, room: Default::default() };
    (NativeDriver::new(config).await.unwrap().with_scratch(place), data)
}

fn nothing_is_left(data: &Path, id: &str) {
    assert_eq!(processes_with(id), [""; 0]);
    assert_eq!(mounts_with(id), [""; 0]);
    assert!(groups_of(id).is_empty());
    assert_eq!(fs::read_dir(data.join("work")).unwrap().count(), 0);
}

#[tokio::test]
#[ignore = "a part of an_ordinary_user_builds_with_the_limits_that_there_are"]
async fn a_build_of_an_ordinary_user() {
    let (driver, data) = ordinary_driver(ScratchPlace::Auto).await;
    let build = Build::new("mini12", &[SMALL]);
    let id = build.request.id.to_string();
    let built = build.run(&driver).await;
    built.packages();
    nothing_is_left(&data, &id);
    let isolation = built.result.unwrap().isolation.unwrap();
    match Cgroups::look() {
        Ok(Kind::V2) => assert_eq!(isolation.memory, Guard::CgroupV2),
        Ok(Kind::V1) => panic!("an ordinary user cannot write to groups of version 1"),
        Err(_) => {
            assert_eq!(
                (isolation.memory, isolation.processes, isolation.cpu),
                (Guard::Rlimit, Guard::Rlimit, Guard::Nothing)
            );
            assert!(isolation.lacks.concat().contains("Delegate=yes"), "{isolation:?}");
            assert!(built.log.contains("(each process by itself)"), "{}", built.log);
        }
    }
}

async fn fails(driver: &NativeDriver, data: &Path, attack: &str) -> Built {
    let build = Build::new("mini12", &[&script(&[("BUILD", attack)])]).limits(|limits| {
        limits.timeout = Duration::from_secs(60);
        limits.memory_bytes = 512 << 20;
        limits.processes = 100;
        limits.disk_bytes = 64 << 20;
        limits.files = 10_000;
    });
    let id = build.request.id.to_string();
    let built = build.run(driver).await;
    nothing_is_left(data, &id);
    built
}

#[tokio::test]
#[ignore = "a part of an_ordinary_user_builds_with_the_limits_that_there_are"]
async fn limits_of_an_ordinary_user() {
    let (driver, data) = ordinary_driver(ScratchPlace::Memory).await;
    let hog = fails(&driver, &data, "head -c 64G /dev/zero | tail -c 60G > /dev/null").await;
    match Cgroups::look() {
        Ok(_) => assert_eq!(hog.failure().cause, Cause::OutOfMemory),
        // The program that wants too much is refused it, and fails as it likes.
        Err(_) => assert_eq!((hog.failure().cause, hog.failure().stage), (Cause::Build, Stage::Build), "{}", hog.log),
    }
    let filler = fails(&driver, &data, "head -c 1G /dev/zero | split -b 8M").await;
    assert_eq!(filler.failure().cause, Cause::DiskFull, "{}", filler.log);
    let (driver, data) = ordinary_driver(ScratchPlace::Disk).await;
    let filler = fails(&driver, &data, "head -c 1G /dev/zero | split -b 8M; sleep 100").await;
    assert_eq!(filler.failure().cause, Cause::DiskFull, "{}", filler.log);
    let bomb = fails(&driver, &data, "for n in $(seq 300); do sleep 100 & done").await;
    assert_eq!(bomb.failure().cause, Cause::Build, "{}", bomb.log);
    assert!(bomb.log.contains("Resource temporarily unavailable"), "{}", bomb.log);
}
