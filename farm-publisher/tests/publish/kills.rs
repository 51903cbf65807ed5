//! A publisher that dies in the middle leaves the old repository, and the next one completes the new.

use farm_testing::DEADLINE;

use crate::farm::{Farm, package};

/// Publishes, then has the publisher die by this script in the place of createrepo_c, then publishes again.
async fn dies_in(script: &str) {
    let farm = Farm::new();
    let createrepo = farm.createrepo("exec createrepo_c \"$@\"");
    let mut publisher = farm.publisher_with(&createrepo);
    let (first, second, other) = (package("hello", "first"), package("hello", "second"), package("other", "first"));
    farm.build("scratch", &[&first]).await;
    farm.published("scratch").await;

    farm.createrepo(script);
    farm.build("scratch", &[&second, &other]).await;
    assert!(!publisher.wait(DEADLINE).success());
    let old = farm.dnf("scratch");
    assert_eq!(old.packages(), ["hello"]);
    assert_eq!(old.download(&["hello"])[&first.name], first.digest());
    assert_eq!(farm.publication("scratch").unwrap().revision, 1);

    farm.createrepo("exec createrepo_c \"$@\"");
    let _next = farm.publisher_with(&createrepo);
    assert_eq!(farm.published("scratch").await.revision, 2);
    let new = farm.dnf("scratch");
    assert_eq!(new.packages(), ["hello", "other"]);
    assert_eq!(new.download(&["hello"])[&second.name], second.digest());
    assert_eq!(old.download(&["hello"])[&first.name], first.digest());
    let leftovers =
        fs_err::read_dir(farm.repositories().join(".publisher/scratch").join(crate::farm::PLATFORM)).unwrap();
    let names: Vec<_> = leftovers.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with("run-")), "{names:?}");
}

#[tokio::test]
async fn killed_before_there_is_metadata() {
    dies_in("kill -9 $PPID").await;
}

#[tokio::test]
async fn killed_when_the_metadata_is_made_but_not_public() {
    dies_in("createrepo_c \"$@\"\nkill -9 $PPID").await;
}

#[tokio::test]
async fn killed_while_it_makes_metadata_that_goes_on_by_itself() {
    dies_in("kill -9 $PPID\nexec createrepo_c \"$@\"").await;
}

#[tokio::test]
async fn killed_between_the_packages_and_the_metadata_that_names_them() {
    // What the new metadata is to name lies there in part already, as it does when repomd.xml alone is missing.
    dies_in(
        "createrepo_c \"$@\"\nfor last; do :; done\nwhile [ \"$1\" != --outputdir ]; do shift; done\n\
         mv \"$2\"/repodata/*-primary.xml.gz \"$last\"/repodata/\nkill -9 $PPID",
    )
    .await;
}
