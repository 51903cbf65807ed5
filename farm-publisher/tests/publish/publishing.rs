//! What is built is found by dnf.

use farm_testing::{DEADLINE, eventually};

use crate::{
    dnf::Dnf,
    farm::{Built, Farm, package},
};

#[tokio::test]
async fn a_package_is_in_the_repository_once_its_task_has_succeeded() {
    let farm = Farm::new();
    let _publisher = farm.publisher();
    let (hello, more) = (package("hello", "first"), package("more", "first"));
    farm.build("scratch", &[&hello, &more]).await;
    let publication = farm.published("scratch").await;
    assert_eq!((publication.revision, publication.packages), (1, 2));
    let dnf = farm.dnf("scratch");
    assert_eq!(dnf.packages(), ["hello", "more"]);
    assert_eq!(dnf.download(&["hello"])[&hello.name], hello.digest());
}

#[tokio::test]
async fn each_bucket_has_its_own_packages() {
    let farm = Farm::new();
    farm.build("scratch", &[&package("hello", "first")]).await;
    farm.build("stable", &[&package("world", "first")]).await;
    let _publisher = farm.publisher();
    farm.published("scratch").await;
    farm.published("stable").await;
    assert_eq!(farm.dnf("scratch").packages(), ["hello"]);
    assert_eq!(farm.dnf("stable").packages(), ["world"]);
}

#[tokio::test]
async fn a_package_that_is_built_again_replaces_the_one_of_its_name() {
    let farm = Farm::new();
    let _publisher = farm.publisher();
    let (first, second, other) = (package("hello", "first"), package("hello", "second"), package("other", "first"));
    assert_eq!(first.name, second.name);
    assert_ne!(first.digest(), second.digest());
    farm.build("scratch", &[&first, &other]).await;
    farm.published("scratch").await;
    farm.build("scratch", &[&second]).await;
    assert_eq!(farm.published("scratch").await.packages, 2);
    let files = farm.dnf("scratch").download(&["hello", "other"]);
    assert_eq!((files[&second.name], files[&other.name]), (second.digest(), other.digest()));
}

#[tokio::test]
async fn a_dnf_with_the_metadata_of_before_still_gets_what_that_names() {
    let farm = Farm::new();
    let _publisher = farm.publisher();
    let (first, second) = (package("hello", "first"), package("hello", "second"));
    farm.build("scratch", &[&first]).await;
    farm.published("scratch").await;
    let early = farm.dnf("scratch");
    assert_eq!(early.packages(), ["hello"]);
    let primary = metadata_of(&farm);
    farm.build("scratch", &[&second]).await;
    farm.published("scratch").await;
    assert_eq!(early.download(&["hello"])[&first.name], first.digest());
    assert_eq!(farm.dnf("scratch").download(&["hello"])[&second.name], second.digest());
    // A dnf that has read no more than repomd.xml.
    let now = metadata_of(&farm);
    assert!(primary.iter().all(|file| now.contains(file)), "{primary:?} is not all in {now:?}");
}

fn metadata_of(farm: &Farm) -> Vec<String> {
    let entries = fs_err::read_dir(farm.repository("scratch").join("repodata")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn files_that_nothing_names_any_more_go_after_the_grace() {
    let farm = Farm::new();
    let (first, second) = (package("hello", "first"), package("hello", "second"));
    let config = format!("grace_seconds = 0\n{}", farm.config("createrepo_c".as_ref()));
    let _publisher = farm_testing::Process::daemon("farm-publisher", &config);
    farm.build("scratch", &[&first]).await;
    farm.published("scratch").await;
    let packages = farm.repository("scratch").join("packages");
    assert!(packages.join(first.digest().to_string()).exists());
    farm.build("scratch", &[&second]).await;
    farm.published("scratch").await;
    let gone = async || (!packages.join(first.digest().to_string()).exists()).then_some(());
    eventually("the removal of the first package", DEADLINE, gone).await;
    let few = async || (metadata_of(&farm).len() == 4).then_some(());
    eventually("the removal of the first metadata", DEADLINE, few).await;
    assert_eq!(farm.dnf("scratch").download(&["hello"])[&second.name], second.digest());
}

#[tokio::test]
async fn what_ends_while_nobody_publishes_is_published_at_once_and_together() {
    let farm = Farm::new();
    for name in ["one", "two", "three"] {
        farm.build("scratch", &[&package(name, "first")]).await;
    }
    let _publisher = farm.publisher();
    assert_eq!(farm.published("scratch").await.revision, 1);
    assert_eq!(farm.dnf("scratch").packages(), ["one", "three", "two"]);
}

#[tokio::test]
async fn a_strange_file_name_is_served_and_found_over_http() {
    let farm = Farm::new();
    let _publisher = farm.publisher();
    let strange = Built { name: "we ird-%{ver}+^~#?&\"<ü.noarch.rpm".to_owned(), ..package("hello", "first") };
    farm.build("scratch", &[&strange]).await;
    farm.published("scratch").await;
    let (server, url) = serve(&farm.repository("scratch"));
    assert_eq!(Dnf::on(&url).download(&["hello"])[&strange.name], strange.digest());
    drop(server);
}

/// A web server on a folder.
fn serve(folder: &std::path::Path) -> (farm_testing::Process, String) {
    let mut python = std::process::Command::new("python3");
    python.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]).current_dir(folder);
    let server = farm_testing::Process::start("python3", python);
    // Serving HTTP on 127.0.0.1 port 40123 (http://127.0.0.1:40123/) ...
    let line = server.wait_for_log("Serving HTTP");
    let url = line.split(['(', ')']).nth(1).unwrap().to_owned();
    (server, url)
}

#[tokio::test]
async fn of_two_publishers_one_publishes() {
    let farm = Farm::new();
    let runs = farm.dir.path().join("runs");
    let createrepo = farm.createrepo(&format!("echo run >> {}\nexec createrepo_c \"$@\"", runs.display()));
    let publishers = [farm.publisher_with(&createrepo), farm.publisher_with(&createrepo)];
    for round in 1..=3 {
        farm.build("scratch", &[&package(&format!("package{round}"), "first")]).await;
        assert_eq!(farm.published("scratch").await.revision, round);
    }
    assert_eq!(fs_err::read_to_string(runs).unwrap().lines().count(), 3);
    let published: usize = publishers.iter().map(|one| one.log().matches("published scratch").count()).sum();
    assert!(published <= 3, "{published}");
    assert_eq!(farm.dnf("scratch").packages().len(), 3);
}

#[tokio::test]
async fn one_that_is_told_to_end_ends_in_the_middle_and_the_next_goes_on() {
    let farm = Farm::new();
    let begun = farm.dir.path().join("begun");
    let createrepo = farm.createrepo(&format!("touch {}\nexec sleep 600", begun.display()));
    let mut publisher = farm.publisher_with(&createrepo);
    farm.build("scratch", &[&package("hello", "first")]).await;
    eventually("the run", DEADLINE, async || begun.exists().then_some(())).await;
    assert!(publisher.terminate().success());
    assert!(farm.publication("scratch").is_none());
    let _next = farm.publisher();
    farm.published("scratch").await;
    assert_eq!(farm.dnf("scratch").packages(), ["hello"]);
}
