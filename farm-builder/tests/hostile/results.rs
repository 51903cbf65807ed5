//! Traps among the results.

use farm_types::{Cause, Stage};

use crate::support::Attack;

#[tokio::test]
async fn links_pipes_devices_and_mad_names_among_the_results_are_left_behind() {
    let built = Attack::new("traps").run().await;
    assert_eq!(built.packages(), ["traps-1-1.noarch.rpm", "traps-1-1.src.rpm"], "{}", built.log);
    let left = |what: &str| {
        let found = built.log.lines().any(|line| line.starts_with("[farm] left behind: ") && line.contains(what));
        assert!(found, "{what}\n{}", built.log);
    };
    for what in ["link.rpm", "environ.rpm", "folder.rpm", "inside.rpm", "fifo.rpm", "socket.rpm", "-rf.rpm"] {
        left(what);
    }
    left("new\\nline.rpm");
    left("\\u{1b}[2J\\u{1b}[31m.rpm");
    left("nnnnnnnn.rpm");
}

#[tokio::test]
async fn a_file_of_a_hundred_terabytes_of_nothing_is_not_copied() {
    let attack = Attack::new("sparse").limits(|limits| limits.disk_bytes = 1 << 50).on_disk();
    let built = attack.fails(Cause::OutputTooLarge, Stage::Collect).await;
    assert!(built.log.contains("sparse.rpm: too large"), "{}", built.log);
    // Nor can it be made where the disk is bounded.
    Attack::new("sparse").fails(Cause::Install, Stage::Install).await;
}

#[tokio::test]
async fn a_file_that_is_no_package_is_no_result() {
    let built = Attack::new("junk").fails(Cause::Install, Stage::Collect).await;
    assert!(built.failure().message.contains("other-1-1.noarch.rpm"), "{:?}", built.failure());
}

#[tokio::test]
async fn a_package_of_another_source_is_no_result() {
    let built = Attack::new("foreign").fails(Cause::Install, Stage::Collect).await;
    let message = &built.failure().message;
    assert!(message.contains("bash-99-1.noarch.rpm") && message.contains("foreign-1-1.src.rpm"), "{message}");
}

#[tokio::test]
async fn more_packages_than_the_limit_are_refused() {
    let built = Attack::new("many").fails(Cause::OutputTooLarge, Stage::Collect).await;
    assert_eq!(built.failure().message, "the build made more packages than the limit of 20");
}

#[tokio::test]
async fn packages_larger_than_the_limit_are_refused() {
    Attack::new("large").fails(Cause::OutputTooLarge, Stage::Collect).await;
}
