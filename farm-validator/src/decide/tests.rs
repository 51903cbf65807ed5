use farm_api::recipe::Recipe;
use farm_rpm::{Nevra, Report};
use farm_types::{Digest, JobId};

use super::*;

fn platform(name: &str, builders: i64) -> ValidatorPlatform {
    let name: PlatformName = name.parse().unwrap();
    let recipe = Recipe {
        name: name.clone(),
        release: name.release().to_owned(),
        arch: name.arch().to_owned(),
        description: String::new(),
        auto: true,
        base: vec!["bash".to_owned()],
        repositories: Vec::new(),
        network: false,
        timeout_seconds: None,
        weight: None,
        limits: Default::default(),
        buckets: Vec::new(),
    };
    ValidatorPlatform { name, enabled: true, auto: true, recipe, builders, allowed: true }
}

fn farm() -> Vec<ValidatorPlatform> {
    vec![platform("f13-i686", 1), platform("f13-x86_64", 1)]
}

fn package(name: &str) -> SourcePackage {
    let nevra = Nevra {
        name: name.to_owned(),
        epoch: None,
        version: "1.0".to_owned(),
        release: "1".to_owned(),
        arch: "src".to_owned(),
    };
    SourcePackage { nevra, ..SourcePackage::default() }
}

fn report(package: SourcePackage) -> SourceReport {
    Report { package: Some(package), problems: Vec::new(), warnings: Vec::new() }
}

/// A job of that many sources, each file with bytes of its own.
fn job(targets: &str, sources: u8) -> UndecidedJob {
    let source = |n: u8| UndecidedSource {
        position: u32::from(n),
        file_name: format!("file{n}.src.rpm"),
        digest: Digest::from_bytes([n; 32]),
        size: 1,
    };
    let sources = (1..=sources).map(source).collect();
    UndecidedJob { id: JobId(1), targets: targets.to_owned(), network: false, options: Default::default(), sources }
}

fn codes(decision: Decision) -> Vec<String> {
    match decision {
        Decision::Reject(reasons) => reasons.into_iter().map(|r| r.code).collect(),
        Decision::Accept { .. } => panic!("it was accepted"),
    }
}

#[test]
fn a_sound_job_gets_every_platform_it_asked_for() {
    let Decision::Accept { platforms, warnings, sources } = decide(&job("f13", 1), vec![report(package("a"))], &farm())
    else {
        panic!("it was rejected")
    };
    assert_eq!(platforms.iter().map(PlatformName::as_str).collect::<Vec<_>>(), ["f13-i686", "f13-x86_64"]);
    assert_eq!(sources[0].name, "a");
    assert!(warnings.is_empty());
}

#[test]
fn every_reason_is_told_at_once() {
    let mut job = job("f99,sl5", 2);
    job.sources[1].digest = job.sources[0].digest;
    let reports = vec![report(package("a")), report(package("a"))];
    assert_eq!(codes(decide(&job, reports, &farm())), ["duplicate_source", "unknown_target", "unknown_target"]);
}

#[test]
fn a_repository_that_is_named_has_to_be_one_of_every_platform() {
    let mut job = job("f13", 1);
    let named = serde_json::json!({ "repositories": [{ "name": "extra" }, { "baseurl": "https://example.org/" }] });
    job.options = serde_json::from_value(named).unwrap();
    let mut platforms = farm();
    let extra = serde_json::json!({ "name": "extra", "baseurl": "http://h/", "gpgcheck": false, "enabled": false });
    let one = platforms.iter_mut().find(|platform| platform.name.as_str() == "f13-i686").unwrap();
    one.recipe.repositories.push(serde_json::from_value(extra.clone()).unwrap());
    let Decision::Reject(reasons) = decide(&job, vec![report(package("a"))], &platforms) else { panic!("accepted") };
    let told: Vec<_> = reasons.iter().map(|reason| (reason.code.as_str(), reason.message.as_str())).collect();
    assert_eq!(told, [("unknown_repository", "f13-x86_64 has no repository “extra”; its recipe knows none")]);
    for platform in &mut platforms {
        platform.recipe.repositories = vec![serde_json::from_value(extra.clone()).unwrap()];
    }
    assert!(matches!(decide(&job, vec![report(package("a"))], &platforms), Decision::Accept { .. }));
}

#[test]
fn two_files_of_the_same_package_are_refused() {
    let reports = vec![report(package("a")), report(package("a"))];
    assert_eq!(codes(decide(&job("f13", 2), reports, &farm())), ["duplicate_package"]);
}

#[test]
fn a_platform_of_the_wrong_architecture_is_left_out_with_a_warning() {
    let only_64 = SourcePackage { exclusive_arch: vec!["x86_64".to_owned()], ..package("a") };
    let Decision::Accept { platforms, warnings, .. } = decide(&job("f13", 1), vec![report(only_64)], &farm()) else {
        panic!("it was rejected")
    };
    assert_eq!(platforms.len(), 1);
    assert!(warnings[0].message.contains("f13-i686"), "{warnings:?}");
}

#[test]
fn a_package_for_no_platform_at_all_is_refused() {
    let foreign = SourcePackage { exclusive_arch: vec!["s390x".to_owned()], ..package("a") };
    assert_eq!(codes(decide(&job("f13", 1), vec![report(foreign)], &farm())).len(), 2);
}

#[test]
fn a_platform_without_a_builder_is_a_warning_and_no_refusal() {
    let farm = vec![platform("f13-x86_64", 0)];
    let Decision::Accept { warnings, .. } = decide(&job("", 1), vec![report(package("a"))], &farm) else {
        panic!("it was rejected")
    };
    assert_eq!(warnings[0].code, "no_builder");
}

#[test]
fn a_hostile_file_name_is_shown_escaped() {
    let mut job = job("f13", 2);
    job.sources[1] = UndecidedSource { file_name: "a\u{1b}[31m\nb".to_owned(), position: 2, ..job.sources[0].clone() };
    let Decision::Reject(reasons) = decide(&job, vec![report(package("a")), report(package("a"))], &farm()) else {
        panic!("it was accepted")
    };
    assert!(!reasons[0].message.contains(['\u{1b}', '\n']), "{reasons:?}");
}

#[test]
fn a_platform_that_the_submitter_may_not_use_is_left_out_of_many_and_refused_by_name() {
    let mut platforms = farm();
    platforms[0].allowed = false;
    let reports = || vec![report(package("a"))];
    let Decision::Accept { platforms: chosen, .. } = decide(&job("auto", 1), reports(), &platforms) else { panic!() };
    assert_eq!(chosen.iter().map(PlatformName::as_str).collect::<Vec<_>>(), ["f13-x86_64"]);
    assert_eq!(codes(decide(&job("f13,F13-i686", 1), reports(), &platforms)), ["platform_forbidden"]);
    platforms[1].allowed = false;
    assert_eq!(codes(decide(&job("auto", 1), reports(), &platforms)), ["platform_forbidden"; 2]);
}

#[test]
fn a_job_that_needs_the_network_is_refused_where_there_is_none() {
    let mut platforms = farm();
    let networked = |targets| UndecidedJob { network: true, ..job(targets, 1) };
    let reports = || vec![report(package("a"))];
    assert_eq!(codes(decide(&networked("f13-x86_64"), reports(), &platforms)), ["no_network"]);
    platforms[1].recipe.network = true;
    assert!(matches!(decide(&networked("f13-x86_64"), reports(), &platforms), Decision::Accept { .. }));
}
