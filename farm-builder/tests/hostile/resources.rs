//! Packages that want all there is: processes, memory, disk, log.

use std::time::Duration;

use farm_builder::Guard;
use farm_types::{Cause, Stage};

use crate::support::{Attack, bounds_builds_as_a_whole};

#[tokio::test]
async fn a_fork_bomb_gets_no_more_processes_than_it_may_have() {
    if !bounds_builds_as_a_whole() {
        return;
    }
    let attack = Attack::new("fork-bomb").limits(|limits| limits.timeout = Duration::from_secs(4));
    let built = attack.fails(Cause::Timeout, Stage::Build).await;
    let told = built.log.lines().any(|line| line.ends_with("no process could be started: the limit is 200 at once"));
    assert!(told, "{}", &built.log[..built.log.len().min(3000)]);
}

#[tokio::test]
async fn a_memory_hog_is_ended_by_the_kernel() {
    if !bounds_builds_as_a_whole() {
        return;
    }
    let built = Attack::new("memory-hog").fails(Cause::OutOfMemory, Stage::Build).await;
    assert_eq!(built.failure().message, "the build needed more memory than 512.0 MiB");
    let report = built.result.unwrap();
    let peak = report.usage.peak_memory_bytes.unwrap();
    assert!((400 << 20..=512 << 20).contains(&peak), "{peak}");
    assert!(report.usage.cpu_milliseconds.unwrap() > 0);
    assert!(matches!(report.isolation.unwrap().memory, Guard::CgroupV1 | Guard::CgroupV2));
    assert!(built.log.contains("[farm] limits: memory 512.0 MiB (cgroup v"), "{}", built.log);
}

#[tokio::test]
async fn a_build_that_begins_a_new_hog_whenever_one_is_ended_is_ended_itself() {
    if !bounds_builds_as_a_whole() {
        return;
    }
    Attack::new("memory-hogs").fails(Cause::OutOfMemory, Stage::Build).await;
}

#[tokio::test]
async fn files_in_dev_shm_count_as_memory() {
    if !bounds_builds_as_a_whole() {
        return;
    }
    Attack::new("shm-filler").fails(Cause::OutOfMemory, Stage::Build).await;
}

#[tokio::test]
async fn nothing_can_be_written_into_dev_itself() {
    let built = Attack::new("dev-filler").run().await;
    built.packages();
    assert!(built.log.lines().any(|line| line == "refused"), "{}", built.log);
    assert!(!built.log.lines().any(|line| line == "fill"), "{}", built.log);
}

#[tokio::test]
async fn a_full_tmp_is_a_full_disk() {
    let built = Attack::new("tmp-filler").fails(Cause::DiskFull, Stage::Build).await;
    assert_eq!(built.failure().message, "the build wrote more than 128.0 MiB into its chroot");
    assert_eq!(built.result.unwrap().isolation.unwrap().disk, Guard::FileSystem);
}

#[tokio::test]
async fn a_build_that_fills_the_disk_is_ended_wherever_that_is() {
    Attack::new("disk-filler").fails(Cause::DiskFull, Stage::Build).await;
    let built = Attack::new("disk-filler").on_disk().fails(Cause::DiskFull, Stage::Build).await;
    assert_eq!(built.result.unwrap().isolation.unwrap().disk, Guard::Sampled);
}

#[tokio::test]
async fn one_file_without_end_ends_at_the_limit_of_the_disk() {
    Attack::new("one-file").fails(Cause::DiskFull, Stage::Build).await;
    Attack::new("one-file").on_disk().fails(Cause::DiskFull, Stage::Build).await;
}

#[tokio::test]
async fn a_file_without_a_name_is_bounded_as_well() {
    let built = Attack::new("unlinked-filler").fails(Cause::DiskFull, Stage::Build).await;
    assert!(built.log.contains("No space left on device"), "{}", built.log);
    // There nobody sees it, but no file becomes larger than the limit: so it is the build that failed.
    Attack::new("unlinked-filler").on_disk().fails(Cause::Build, Stage::Build).await;
}

#[tokio::test]
async fn files_without_end_are_ended_at_the_limit_of_their_number() {
    let message = "the build made more than 20000 files in its chroot";
    let built = Attack::new("inode-filler").fails(Cause::DiskFull, Stage::Build).await;
    assert_eq!(built.failure().message, message);
    let built = Attack::new("inode-filler").on_disk().fails(Cause::DiskFull, Stage::Build).await;
    assert_eq!(built.failure().message, message);
}

#[tokio::test]
async fn a_flood_of_log_is_cut() {
    let built = Attack::new("log-flood").fails(Cause::OutputTooLarge, Stage::Build).await;
    assert!(built.log.len() < (2 << 20) + 1000, "{}", built.log.len());
}

#[tokio::test]
async fn one_line_of_a_gibibyte_is_cut() {
    let built = Attack::new("long-line").fails(Cause::OutputTooLarge, Stage::Build).await;
    assert!(built.log.len() < (2 << 20) + 1000, "{}", built.log.len());
    assert!(built.failure().excerpt.iter().all(|line| line.text.len() < 10_000));
}
