//! What becomes of packages under mock: of those that build, and of those that do not, each for its own reason.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use farm_builder::{MockConfig, MockDriver};
use farm_types::{Cause, Stage};

use crate::{
    common::{Build, script},
    sites::Site,
};

#[tokio::test]
async fn a_package_builds_and_its_log_says_how_it_was_isolated() {
    let site = Site::stand_in("");
    let built = Build::new("mini12", &[&script(&[("CHECK", "echo all is well")])]).run(&site.driver().await).await;
    assert_eq!(built.packages(), ["script-1-1.noarch.rpm", "script-1-1.src.rpm"], "{}", built.log);
    let stages = [
        Stage::Chroot,
        Stage::Source,
        Stage::Dependencies,
        Stage::Prep,
        Stage::Build,
        Stage::Install,
        Stage::Check,
        Stage::Collect,
    ];
    assert_eq!(built.stages, stages, "{}", built.log);
    for words in [
        "[farm] mock 6.7 makes the chroot, by ",
        "[farm] isolation: simple\n[farm] network: NOT cut (mock's simple isolation)\n",
        "[farm] NOT limited: memory, processes, CPU, disk;",
        "[farm] mock: Start: chroot init\n",
        "[farm] from mock's root.log:\nInstalling: bash filesystem\n",
        "[farm] from mock's build.log:\n",
        "\nall is well\n",
    ] {
        assert!(built.log.contains(words), "{words}\n{}", built.log);
    }
    assert_eq!(site.leftovers(), [""; 0].map(std::path::PathBuf::from));
}

#[tokio::test]
async fn no_build_gets_a_network_by_the_sites_configuration() {
    let site = Site::stand_in("config");
    let driver = site.driver().await;
    let built = Build::new("mini12", &[&script(&[])]).run(&driver).await;
    assert!(built.log.contains("isolation=simple network=no 1\n"), "{}", built.log);
    let mut build = Build::new("mini12", &[&script(&[])]);
    (build.request.network, build.request.platform.network) = (true, true);
    let built = build.run(&driver).await;
    assert!(built.log.contains("isolation=simple network=yes 1\n"), "{}", built.log);
    assert!(built.log.contains("[farm] network: that of the host, as the job asked\n"), "{}", built.log);
    // A newer file would make mock forget its chroots.
    assert_eq!(std::fs::read_dir(site.data().join("mock-configs")).unwrap().count(), 1);
}

async fn fails(parts: &[(&str, &str)], cause: Cause, stage: Stage, telling: &str) {
    let site = Site::stand_in("");
    let built = Build::new("mini12", &[&script(parts)]).run(&site.driver().await).await;
    let failure = built.failure();
    assert_eq!((failure.cause, failure.stage), (cause, stage), "{failure:?}\n{}", built.log);
    assert!(built.excerpt().contains(telling), "{failure:?}");
    assert!(failure.excerpt.len() <= 20, "{failure:?}");
    assert_eq!(site.leftovers().len(), 0, "{:?}", site.leftovers());
}

#[tokio::test]
async fn a_failing_prep_says_so() {
    fails(&[("PREP", "cat no-such-file")], Cause::Prep, Stage::Prep, "No such file or directory").await;
}

#[tokio::test]
async fn a_failing_build_shows_the_compilers_words() {
    let build = "echo 'int main(void) { return x; }' > x.c\ngcc -c x.c";
    let parts = [("PREAMBLE", "BuildRequires: gcc"), ("BUILD", build)];
    fails(&parts, Cause::Build, Stage::Build, "undeclared (first use in this function)").await;
}

#[tokio::test]
async fn a_failing_install_says_so() {
    fails(&[("INSTALL", "cp nothing %{buildroot}/")], Cause::Install, Stage::Install, "cannot stat 'nothing'").await;
}

#[tokio::test]
async fn a_failing_check_shows_the_failing_test() {
    let check = "echo 'ok 1'; echo 'FAIL: adds'; exit 1";
    fails(&[("CHECK", check)], Cause::Check, Stage::Check, "FAIL: adds").await;
}

#[tokio::test]
async fn files_that_are_not_there_cannot_be_packaged() {
    fails(&[("FILES", "/usr/bin/nothing")], Cause::Install, Stage::Install, "File not found").await;
}

#[tokio::test]
async fn every_missing_requirement_is_named() {
    let needs = "BuildRequires: gcc, no-such-package >= 2, pkgconfig(nowhere)";
    let site = Site::stand_in("");
    let built = Build::new("mini12", &[&script(&[("PREAMBLE", needs)])]).run(&site.driver().await).await;
    let failure = built.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::Dependencies, Stage::Dependencies), "{failure:?}");
    assert_eq!(failure.message, "mini12-x86_64 cannot provide: no-such-package >= 2, pkgconfig(nowhere)");
    assert!(built.excerpt().contains("no-such-package"), "{failure:?}");
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_not_valid() {
    let site = Site::stand_in("");
    let build = Build::new("mini12", &[&script(&[])]);
    std::fs::write(&build.request.sources[0], "not a package").unwrap();
    let built = build.run(&site.driver().await).await;
    assert_eq!((built.failure().cause, built.failure().stage), (Cause::SourceInvalid, Stage::Source), "{}", built.log);
}

#[tokio::test]
async fn a_spec_that_is_refused_in_the_chroot_is_an_invalid_source() {
    let site = Site::stand_in("");
    let spec = script(&[("PREAMBLE", "%{?dist:%{error:not here}}")]);
    let built = Build::new("mini12", &[&spec]).run(&site.driver().await).await;
    assert_eq!((built.failure().cause, built.failure().stage), (Cause::SourceInvalid, Stage::Source), "{}", built.log);
    assert!(built.failure().message.contains("not here"), "{:?}", built.failure());
}

#[tokio::test]
async fn a_source_may_need_what_another_of_the_job_brings() {
    let site = Site::stand_in("");
    let user = script(&[("PREAMBLE", "BuildRequires: other")]);
    let other = script(&[]).replace("Name: script", "Name: other").replace("share/script", "share/other");
    let built = Build::new("mini12", &[&user, &other]).run(&site.driver().await).await;
    assert_eq!(built.packages().len(), 4, "{}", built.log);
    assert!(built.log.contains("[farm] source 1 waits for what the others bring"), "{}", built.log);
}

#[tokio::test]
async fn sources_that_wait_for_each_other_in_vain_fail() {
    let site = Site::stand_in("");
    let one = script(&[("PREAMBLE", "BuildRequires: two")]);
    let two = script(&[("PREAMBLE", "BuildRequires: script")]).replace("Name: script", "Name: two");
    let built = Build::new("mini12", &[&one, &two]).run(&site.driver().await).await;
    assert_eq!(built.failure().cause, Cause::Dependencies, "{}", built.log);
}

#[tokio::test]
async fn only_packages_are_taken_from_what_mock_brings() {
    let site = Site::stand_in("traps");
    let built = Build::new("mini12", &[&script(&[])]).run(&site.driver().await).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);
    assert!(built.log.contains("[farm] left behind: link.rpm:"), "{}", built.log);
    assert!(built.log.contains("[farm] left behind: fifo.rpm: not a regular file"), "{}", built.log);
}

#[tokio::test]
async fn what_only_looks_like_a_package_spoils_the_build() {
    let site = Site::stand_in("fake");
    let built = Build::new("mini12", &[&script(&[])]).run(&site.driver().await).await;
    assert_eq!(built.failure().cause, Cause::Install, "{}", built.log);
    assert!(built.failure().message.contains("fake-1-1.noarch.rpm"), "{:?}", built.failure());
}

#[tokio::test]
async fn packages_larger_than_the_limit_are_refused() {
    let site = Site::stand_in("");
    let spec = script(&[("INSTALL", "head -c 3000000 /dev/urandom > %{buildroot}/usr/share/script/large")]);
    let build = Build::new("mini12", &[&spec]).limits(|limits| limits.result_bytes = 1 << 20);
    let built = build.run(&site.driver().await).await;
    assert_eq!((built.failure().cause, built.failure().stage), (Cause::OutputTooLarge, Stage::Collect));
}

async fn fault(site: &Site) -> String {
    let built = Build::new("mini12", &[&script(&[])]).run(&site.driver().await).await;
    let error = built.result.unwrap_err();
    assert_eq!(error.cause, Cause::Chroot, "{error}\n{}", built.log);
    assert_eq!(error.stage, Stage::Chroot, "{error}\n{}", built.log);
    error.message
}

#[tokio::test]
async fn a_chroot_that_cannot_be_made_is_the_farms_fault() {
    let message = fault(&Site::stand_in("no-chroot")).await;
    assert!(message.contains("mock ended with 30") && message.contains("dnf failed"), "{message}");
}

#[tokio::test]
async fn a_platform_without_a_configuration_is_the_farms_fault_and_says_what_to_do() {
    let mut site = Site::stand_in("");
    site.config.configs.insert("mini12-x86_64".parse().unwrap(), "elsewhere".to_owned());
    let message = fault(&site).await;
    assert!(message.contains("etc/elsewhere.cfg") && message.contains("[mock.configs]"), "{message}");
}

#[tokio::test]
async fn a_chroot_that_another_mock_has_is_the_farms_fault() {
    let site = Site::stand_in("");
    let driver = site.driver().await;
    let build = Build::new("mini12", &[&script(&[])]);
    let root = site.folder.path().join(format!("roots/mini12-{}", build.request.id));
    std::fs::create_dir_all(&root).unwrap();
    let lock = std::fs::File::create(root.join("buildroot.lock")).unwrap();
    lock.lock().unwrap();
    let error = build.run(&driver).await.result.unwrap_err();
    assert!(error.message.contains("mock ended with 60") && error.message.contains("another mock"), "{error}");
}

#[tokio::test]
async fn where_mock_isolates_little_no_driver_begins_unless_that_is_allowed() {
    let site = Site::stand_in("");
    let config = MockConfig { allow_simple_isolation: false, ..site.config.clone() };
    let error = MockDriver::new(&site.data(), config).await.unwrap_err();
    assert!(error.to_string().contains("allow_simple_isolation = true"), "{error}");
}

#[tokio::test]
async fn a_data_folder_that_mock_cannot_reach_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::stand_in("");
    std::fs::set_permissions(site.folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = MockDriver::new(&site.data(), site.config.clone()).await.unwrap_err();
    assert!(error.to_string().contains("nobody cannot reach") && error.to_string().contains("chmod o+x"), "{error}");
}
