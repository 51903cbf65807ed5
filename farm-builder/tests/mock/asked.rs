//! What a job asks of its builds, and what is kept of them, under mock.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use farm_api::{options::BuildOptions, recipe::Repository, record::Package};
use farm_types::Cause;
use serde_json::{Value, json};

use crate::{
    common::{Build, Built, repository::Repository as Repositories, script},
    sites::Site,
};

/// A build of one spec, with these options.
async fn asking(spec: &str, options: Value) -> Built {
    let mut build = Build::new("mini12", &[spec]);
    build.request.options = serde_json::from_value::<BuildOptions>(options).unwrap();
    build.run(&Site::stand_in("").driver().await).await
}

#[tokio::test]
async fn a_check_is_run_unless_the_job_says_no() {
    let spec = script(&[("CHECK", "echo 'FAIL: on purpose'; exit 1")]);
    let built = asking(&spec, json!({ "check": false })).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);
    assert!(built.log.contains("[farm] check: off\n"), "{}", built.log);
    assert_eq!(asking(&spec, json!({})).await.failure().cause, Cause::Check);
}

/// What needs nothing that is there, unless it is asked for; and says what was.
pub fn curious() -> String {
    let conditions = "%bcond_with spicy\n%bcond_without docs\n%{?with_docs:BuildRequires: no-such-docs}";
    let build = "echo 'spicy %{with spicy} docs %{with docs} [%{flavour}]'";
    script(&[("PREAMBLE", conditions), ("BUILD", build)])
}

/// What it says then.
pub const TASTE: &str = "\nspicy 1 docs 0 [sweet  and  mild]\n";

/// Sets all of that.
pub fn wishes() -> Value {
    json!({ "with": ["spicy"], "without": ["docs"], "macros": { "flavour": "sweet  and %{?nothing:%{sour}} mild" } })
}

#[tokio::test]
async fn conditions_and_macros_reach_every_step_of_rpmbuild() {
    let lacking = asking(&curious(), json!({})).await;
    assert!(lacking.failure().message.contains("no-such-docs"), "{:?}", lacking.failure());
    let built = asking(&curious(), wishes()).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);
    assert!(built.log.contains(TASTE), "{}", built.log);
    for line in ["with: spicy", "without: docs", "macro: flavour sweet"] {
        assert!(built.log.contains(&format!("[farm] {line}")), "{line}: {}", built.log);
    }
}

#[tokio::test]
async fn what_mock_would_run_as_code_or_misread_is_never_given_to_it() {
    for value in ["{{ 6 * 7 }}", "x{% set y = 1 %}", "{# x #}", "the next line, too\\"] {
        let built = asking(&script(&[]), json!({ "macros": { "flavour": value } })).await;
        let error = built.result.unwrap_err();
        assert_eq!(error.cause, Cause::Chroot, "{value}: {error}");
        assert!(error.message.contains("mock cannot define the macro flavour"), "{value}: {error}");
        assert!(!built.log.contains("mock: Start"), "{value}: {}", built.log);
    }
}

#[tokio::test]
async fn a_repository_that_mock_cannot_treat_as_it_is_asked_to_is_refused() {
    let plain: Repository =
        serde_json::from_value(json!({ "name": "extra", "baseurl": "file:///nowhere", "gpgcheck": false })).unwrap();
    let cases = [
        (Repository { gpgcheck: true, ..plain.clone() }, "cannot check the signatures of the repository extra"),
        (Repository { priority: Some(7), ..plain.clone() }, "cannot give the repository extra a priority"),
        (Repository { baseurl: None, ..plain.clone() }, "extra, which has no baseurl"),
        (Repository { baseurl: Some("https://h/?{{x}}".to_owned()), ..plain }, "looks like one of mock's templates"),
    ];
    for (repository, words) in cases {
        let mut build = Build::new("mini12", &[&script(&[])]);
        build.request.repositories = vec![repository];
        let error = build.run(&Site::stand_in("").driver().await).await.result.unwrap_err();
        assert!(error.message.contains(words), "{words}: {error}");
    }
}

#[tokio::test]
async fn the_record_names_the_configuration_and_what_it_has_installed() {
    let built = asking(&script(&[("BUILD", "false")]), json!({})).await;
    let record = built.result.unwrap().record.unwrap();
    assert_eq!(record.base, "mini12-x86_64");
    let roots: Vec<_> = record.buildroots.iter().map(|root| (root.source, &root.packages)).collect();
    let [(1, packages)] = roots[..] else { panic!("{roots:?}") };
    let names: Vec<_> = packages.iter().map(Package::nevra).collect();
    assert_eq!(names, ["bash-5.2-1.mini12.x86_64", "gcc-4:12.2.0-3.mini12.x86_64"]);
    assert!(record.tools.iter().any(|tool| tool.name == "mock" && tool.version == "6.7"), "{:?}", record.tools);
    assert!(!record.network && record.isolation.is_some());
}

#[tokio::test]
async fn the_record_has_the_digests_and_repositories_of_what_mock_keeps_of_them() {
    let site = Site::stand_in("");
    let (repository, folder) =
        (Repositories::new(), site.folder.path().join("cache/mini12/dnf_cache/base-0123456789abcdef"));
    let package = repository.add("thing", "1", "some thing", "");
    std::fs::create_dir_all(folder.join("packages")).unwrap();
    std::fs::copy(&package, folder.join("packages").join(package.file_name().unwrap())).unwrap();
    std::fs::create_dir(folder.join("repodata")).unwrap();
    std::fs::copy(repository.folder().join("repodata/repomd.xml"), folder.join("repodata/repomd.xml")).unwrap();

    let built = Build::new("mini12", &[&script(&[])]).run(&site.driver().await).await;
    let record = built.result.unwrap().record.unwrap();
    let [base] = record.repositories.as_slice() else { panic!("{:?}\n{}", record.repositories, built.log) };
    assert!(base.name == "base" && base.revision.is_some(), "{base:?}");
    let of = |name: &str| record.buildroots[0].packages.iter().find(|package| package.name == name).unwrap();
    // rpm's own word for it.
    let asked =
        std::process::Command::new("rpm").args(["-qp", "--qf", "%{SHA256HEADER}"]).arg(&package).output().unwrap();
    let digest = String::from_utf8(asked.stdout).unwrap();
    assert_eq!(of("thing").digest.map(|digest| digest.to_string()), Some(digest));
    assert_eq!(of("thing").repository.as_deref(), Some("base"));
    assert_eq!((of("gcc").digest, of("gcc").repository.as_deref()), (None, None));
}

#[tokio::test]
async fn where_mock_does_not_say_where_its_caches_are_the_record_has_the_rest_and_the_log_says_so() {
    let built = Build::new("mini12", &[&script(&[])]).run(&Site::stand_in("silent").driver().await).await;
    assert!(
        built.log.contains("[farm] the record has no digests and no repositories: mock does not say"),
        "{}",
        built.log
    );
    let record = built.result.unwrap().record.unwrap();
    assert_eq!((record.repositories.len(), record.buildroots[0].packages.len()), (0, 2));
}

#[tokio::test]
async fn where_no_chroot_was_made_there_is_no_record() {
    let site = Site::stand_in("");
    let build = Build::new("mini12", &[&script(&[("PREAMBLE", "BuildRequires: no-such-thing")])]);
    let built = build.run(&site.driver().await).await;
    assert_eq!(built.result.unwrap().record, None);
}
