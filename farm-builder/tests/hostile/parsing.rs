//! Code that runs when a spec is read.

use std::time::Duration;

use farm_types::{Cause, Stage};

use crate::support::{Attack, bounds_builds_as_a_whole};

#[tokio::test]
async fn code_in_a_spec_runs_as_the_build_user_in_the_chroot() {
    let built = Attack::new("parse-shell").run().await;
    built.packages();
    let shown: Vec<_> = built.log.lines().skip_while(|line| *line != "+ cat /tmp/parsed").skip(1).take(4).collect();
    assert_eq!(shown[0], "1000", "{}", built.log);
    assert!(shown[1].contains("/etc/debian_version") && shown[1].contains("No such file"), "{shown:?}");
    assert!(shown[2].contains("builddir"), "{shown:?}");
    assert!(!std::path::Path::new("/usr/evil").exists());
}

#[tokio::test]
async fn a_spec_that_cannot_be_read_to_its_end_takes_no_longer_than_a_build_may() {
    for name in ["parse-hang", "parse-lua"] {
        let attack = Attack::new(name).limits(|limits| limits.timeout = Duration::from_secs(3));
        attack.fails(Cause::Timeout, Stage::Source).await;
    }
}

#[tokio::test]
async fn a_spec_that_needs_all_memory_when_it_is_read_gets_no_more_than_a_build_may() {
    if !bounds_builds_as_a_whole() {
        return;
    }
    Attack::new("parse-memory").fails(Cause::OutOfMemory, Stage::Source).await;
    Attack::new("parse-macro").fails(Cause::OutOfMemory, Stage::Source).await;
}

#[tokio::test]
async fn a_package_that_keeps_its_own_next_step_from_beginning_has_failed_by_itself() {
    let built = Attack::new("locked-out").fails(Cause::Build, Stage::Dependencies).await;
    assert!(built.log.contains("Can't chdir to /builddir"), "{}", built.log);
}
