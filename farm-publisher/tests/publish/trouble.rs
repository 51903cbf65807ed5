//! What goes wrong is said, loses nothing, and does not keep others from being published.

use std::process::Command;

use farm_testing::{DEADLINE, Process, program};

use crate::farm::{Built, Farm, package};

#[tokio::test]
async fn without_createrepo_it_does_not_start_and_says_what_to_install() {
    let farm = Farm::new();
    farm.build("scratch", &[&package("hello", "first")]).await;
    let config = farm.dir.path().join("publisher.toml");
    fs_err::write(&config, farm.config("/nonexistent/createrepo_c".as_ref())).unwrap();
    let mut command = Command::new(program("farm-publisher", "farm-publisher"));
    command.arg("--config").arg(config);
    let mut publisher = Process::start("farm-publisher", command);
    assert_eq!(publisher.wait(DEADLINE).code(), Some(1));
    let line = publisher.wait_for_log("cannot run /nonexistent/createrepo_c");
    assert!(line.contains("install the package createrepo_c"), "{line}");

    let _next = farm.publisher();
    farm.published("scratch").await;
    assert_eq!(farm.dnf("scratch").packages(), ["hello"]);
}

#[tokio::test]
async fn while_createrepo_is_missing_the_old_repository_stays_and_then_the_new_one_comes() {
    let farm = Farm::new();
    let createrepo = farm.createrepo("exec createrepo_c \"$@\"");
    let publisher = farm.publisher_with(&createrepo);
    farm.build("scratch", &[&package("hello", "first")]).await;
    farm.published("scratch").await;
    fs_err::remove_file(&createrepo).unwrap();
    farm.build("scratch", &[&package("other", "first")]).await;
    let line = publisher.wait_for_log("cannot publish scratch/f13-x86_64");
    assert!(line.contains("install the package createrepo_c"), "{line}");
    assert_eq!(farm.dnf("scratch").packages(), ["hello"]);
    farm.createrepo("exec createrepo_c \"$@\"");
    farm.published("scratch").await;
    assert_eq!(farm.dnf("scratch").packages(), ["hello", "other"]);
}

#[tokio::test]
async fn what_is_no_package_is_left_out_and_the_rest_published() {
    let farm = Farm::new();
    let publisher = farm.publisher();
    let text = Built { name: "list.rpm".to_owned(), bytes: b"/etc/passwd /etc/shadow".to_vec() };
    farm.build("scratch", &[&text, &package("hello", "first")]).await;
    assert_eq!(farm.published("scratch").await.packages, 1);
    assert_eq!(farm.dnf("scratch").packages(), ["hello"]);
    publisher.wait_for_log("list.rpm is left out");
}

#[tokio::test]
async fn a_blob_that_is_missing_keeps_only_its_own_repository_from_being_published() {
    let farm = Farm::new();
    let lost = package("lost", "first");
    farm.build("broken", &[&lost]).await;
    farm.store.delete(&lost.digest()).await.unwrap();
    farm.build("scratch", &[&package("hello", "first")]).await;
    let publisher = farm.publisher();
    farm.published("scratch").await;
    let line = publisher.wait_for_log("cannot publish broken/f13-x86_64");
    assert!(line.contains(&lost.digest().to_string()), "{line}");
    assert!(farm.publication("broken").is_none());
}

#[tokio::test]
async fn a_publication_that_the_database_did_not_hear_of_is_made_again() {
    let farm = Farm::new();
    let hello = package("hello", "first");
    farm.execute("REVOKE EXECUTE ON FUNCTION farm.published FROM farm_publisher");
    let publisher = farm.publisher();
    farm.build("scratch", &[&hello]).await;
    publisher.wait_for_log("cannot publish scratch/f13-x86_64");
    assert_eq!(farm.dnf("scratch").packages(), ["hello"]);
    assert!(farm.publication("scratch").is_none());
    farm.execute("GRANT EXECUTE ON FUNCTION farm.published TO farm_publisher");
    assert_eq!(farm.published("scratch").await.revision, 1);
    assert_eq!(farm.dnf("scratch").download(&["hello"])[&hello.name], hello.digest());
}

#[tokio::test]
async fn a_folder_that_was_lost_is_made_again() {
    let farm = Farm::new();
    let hello = package("hello", "first");
    let mut publisher = farm.publisher();
    farm.build("scratch", &[&hello]).await;
    farm.published("scratch").await;
    publisher.terminate();
    fs_err::remove_dir_all(farm.repositories()).unwrap();
    let _next = farm.publisher();
    assert_eq!(farm.published("scratch").await.revision, 2);
    assert_eq!(farm.dnf("scratch").download(&["hello"])[&hello.name], hello.digest());
}
