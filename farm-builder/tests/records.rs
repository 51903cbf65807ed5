//! What is kept of a build: its chroots, its marks, what it used up.

mod common;

use common::{Build, SMALL, driver, script, shared_data};
use farm_api::record::{BuildRecord, Package};
use farm_types::{Cause, Stage};

fn record(built: &common::Built) -> &BuildRecord {
    built.result.as_ref().ok().and_then(|report| report.record.as_ref()).unwrap_or_else(|| panic!("{:?}", built.result))
}

fn find<'p>(packages: &'p [Package], name: &str) -> &'p Package {
    packages.iter().find(|package| package.name == name).unwrap_or_else(|| panic!("no {name} in {packages:?}"))
}

#[tokio::test]
async fn the_record_names_what_was_installed_by_its_digest_and_where_it_came_from() {
    for release in ["mini12", "mini13"] {
        let built = Build::new(release, &[SMALL]).run(&driver(shared_data()).await).await;
        built.packages();
        let record = record(&built);
        assert_eq!(record.platform.as_str(), format!("{release}-x86_64"));
        let packages = &record.buildroots[0].packages;
        for name in ["bash", "gcc", "rpm"] {
            let package = find(packages, name);
            assert!(package.digest.is_some() && package.repository.is_some(), "{package:?}");
        }
        assert!(packages.is_sorted() && packages.iter().all(|package| !package.name.starts_with("farm-")));
        assert_eq!(record.repositories.len(), 1);
        assert!(record.repositories[0].revision.is_some());
        for tool in ["farm-builder", "kernel", "bwrap", "dnf", "rpm"] {
            assert!(record.tools.iter().any(|known| known.name == tool), "{tool}: {:?}", record.tools);
        }
        assert_eq!(record.base.len(), 64);
    }
}

#[tokio::test]
async fn a_package_that_needs_nothing_has_the_base_packages_and_no_more() {
    let driver = driver(shared_data()).await;
    let bare = Build::new("mini12", &[&script(&[])]).run(&driver).await;
    let more = Build::new("mini12", &[&script(&[("PREAMBLE", "BuildRequires: bison")])]).run(&driver).await;
    let again = Build::new("mini12", &[&script(&[])]).run(&driver).await;
    let [bare, more, again] = [&bare, &more, &again].map(|built| &record(built).buildroots[0].packages);
    assert_eq!(bare, again);
    assert!(bare.iter().all(|package| package.name != "bison" && more.contains(package)));
    find(more, "bison");
}

#[tokio::test]
async fn a_build_that_fails_has_a_record_and_one_whose_requirements_cannot_be_had_has_no_chroot_in_it() {
    let driver = driver(shared_data()).await;
    let broken = Build::new("mini12", &[&script(&[("BUILD", "false")])]).run(&driver).await;
    assert_eq!(broken.failure().cause, Cause::Build);
    assert_eq!(record(&broken).buildroots.len(), 1);
    let lacking = Build::new("mini12", &[&script(&[("PREAMBLE", "BuildRequires: no-such-thing")])]).run(&driver).await;
    assert_eq!(lacking.failure().cause, Cause::Dependencies);
    assert!(record(&lacking).buildroots.is_empty() && !record(&lacking).base.is_empty());
}

#[tokio::test]
async fn each_source_of_a_job_has_its_chroot_and_its_marks() {
    let user = script(&[("PREAMBLE", "BuildRequires: small")]);
    let built = Build::new("mini12", &[&user, SMALL]).run(&driver(shared_data()).await).await;
    built.packages();
    let mut of: Vec<_> = record(&built).buildroots.iter().map(|root| root.source).collect();
    of.sort_unstable();
    assert_eq!(of, [1, 2]);
    let user = record(&built).buildroots.iter().find(|root| root.source == 1).unwrap();
    assert_eq!(find(&user.packages, "small").repository.as_deref(), Some("farm-results"));
    let lines: Vec<_> = built.log.lines().collect();
    let mut builds = Vec::new();
    for mark in &built.result.as_ref().unwrap().marks {
        let line = lines[usize::try_from(mark.line).unwrap() - 1];
        assert!(line.starts_with("[farm] === ") && line.contains(mark.stage.as_str()), "{mark:?}: {line}");
        assert!(built.log.as_bytes()[usize::try_from(mark.offset).unwrap()..].starts_with(line.as_bytes()), "{mark:?}");
        if mark.stage == Stage::Build {
            builds.push(mark.source);
        }
    }
    assert_eq!(builds, [Some(2), Some(1)]);
}

#[tokio::test]
async fn what_a_build_used_up_is_measured() {
    // 200 MiB in memory, half a second of the processor, 30 MiB on the disk: each more than the rest of the build.
    let work = "bash -c 'x=$(head -c 200M /dev/zero | tr \"\\\\0\" x); n=0; while [ $SECONDS -lt 1 ]; do n=1; done'
head -c 30M /dev/zero > file";
    let driver = driver(shared_data()).await;
    let idle = Build::new("mini12", &[&script(&[])]).run(&driver).await.result.unwrap().usage;
    let busy = Build::new("mini12", &[&script(&[("BUILD", work)])]).run(&driver).await;
    busy.packages();
    let busy = busy.result.unwrap().usage;
    let more = |of: fn(&farm_api::record::Usage) -> Option<u64>| of(&busy).unwrap() - of(&idle).unwrap();
    assert!(more(|usage| usage.peak_memory_bytes) > 100 << 20, "{idle:?} {busy:?}");
    assert!(more(|usage| usage.cpu_milliseconds) > 200, "{idle:?} {busy:?}");
    // What the rest of a build writes differs a little from one to the next.
    assert!(more(|usage| usage.written_bytes) > 29 << 20, "{idle:?} {busy:?}");
}

#[tokio::test]
async fn a_build_is_done_again_with_the_very_packages_or_says_which_are_gone() {
    let driver = driver(shared_data()).await;
    let needs = script(&[("PREAMBLE", "BuildRequires: bison")]);
    let first = Build::new("mini12", &[&needs]).run(&driver).await;
    let packages = record(&first).buildroots[0].packages.clone();
    let again = |packages: Vec<Package>| {
        let mut build = Build::new("mini12", &[&needs]);
        build.request.like = Some(packages);
        build.run(&driver)
    };
    let same = again(packages.clone()).await;
    same.packages();
    let names =
        |packages: &[Package]| packages.iter().map(|package| (package.nevra(), package.digest)).collect::<Vec<_>>();
    assert_eq!(names(&record(&same).buildroots[0].packages), names(&packages));
    assert_ne!(record(&same).base, record(&first).base);

    let change = |change: fn(&mut Package)| {
        let mut packages = packages.clone();
        change(packages.iter_mut().find(|package| package.name == "bison").unwrap());
        packages
    };
    let gone = again(change(|bison| bison.version.push_str(".99"))).await;
    let failure = gone.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::Dependencies, Stage::Chroot), "{failure:?}");
    assert!(failure.message.contains("do not have any more: bison-"), "{failure:?}");

    let other = again(change(|bison| bison.digest = Some("00".repeat(32).parse().unwrap()))).await;
    let failure = other.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::Dependencies, Stage::Dependencies), "{failure:?}");
    assert!(failure.message.contains("is another build of that name"), "{failure:?}");
}
