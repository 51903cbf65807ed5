//! Packages that build, and packages that do not, each for its own reason.

mod common;

use common::{Build, SMALL, driver, repository::Repository, script, shared_data};
use farm_builder::BuildOutcome;
use farm_types::{Cause, Stage};

#[tokio::test]
async fn a_c_package_with_a_check_builds_on_both_platforms() {
    let driver = driver(shared_data()).await;
    for (release, name) in [("mini12", "small-1.0-1.mini12.x86_64.rpm"), ("mini13", "small-1.0-1.mini13.x86_64.rpm")] {
        let built = Build::new(release, &[SMALL]).run(&driver).await;
        assert!(built.packages().contains(&name), "{:?}", built.packages());
        assert!(built.packages().contains(&name.replace("x86_64", "src").as_str()), "{:?}", built.packages());
        let expected = [
            Stage::Chroot,
            Stage::Source,
            Stage::Dependencies,
            Stage::Prep,
            Stage::Build,
            Stage::Install,
            Stage::Check,
            Stage::Collect,
        ];
        assert_eq!(built.stages, expected);
        let report = built.result.as_ref().unwrap();
        assert_eq!(report.stages.iter().map(|(stage, _)| *stage).collect::<Vec<_>>(), expected);
        let BuildOutcome::Succeeded { packages } = &report.outcome else { unreachable!() };
        for file in packages {
            assert_eq!(file.path.metadata().unwrap().len(), file.size);
        }
    }
}

#[tokio::test]
async fn every_missing_requirement_is_named() {
    let needs = "BuildRequires: gcc, no-such-package >= 2, (gone or (lost and found)), pkgconfig(nowhere)";
    let built = Build::new("mini12", &[&script(&[("PREAMBLE", needs)])]).run(&driver(shared_data()).await).await;
    let failure = built.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::Dependencies, Stage::Dependencies), "{failure:?}");
    for name in ["no-such-package >= 2", "(gone or (lost and found))", "pkgconfig(nowhere)"] {
        assert!(failure.message.contains(name), "{failure:?}");
    }
    assert!(!failure.message.contains("gcc"), "{failure:?}");
    assert!(built.excerpt().contains("no-such-package"), "{failure:?}");
}

#[tokio::test]
async fn a_requirement_that_looks_like_an_option_or_a_url_is_only_a_requirement() {
    for needs in ["http://127.0.0.1:1/x.rpm", "file:///etc/passwd", "/sys/packages/0.rpm"] {
        let built = Build::new("mini12", &[&script(&[("PREAMBLE", &format!("BuildRequires: {needs}"))])])
            .run(&driver(shared_data()).await)
            .await;
        let failure = built.failure();
        assert!(matches!(failure.cause, Cause::Dependencies | Cause::SourceInvalid), "{needs}: {failure:?}");
    }
}

async fn fails(parts: &[(&str, &str)], cause: Cause, stage: Stage, telling: &str) {
    let driver = driver(shared_data()).await;
    for release in ["mini12", "mini13"] {
        let built = Build::new(release, &[&script(parts)]).run(&driver).await;
        let failure = built.failure();
        assert_eq!((failure.cause, failure.stage), (cause, stage), "{release}: {failure:?}\n{}", built.log);
        assert!(built.excerpt().contains(telling), "{release}: {failure:?}");
        assert!(failure.excerpt.len() <= 20, "{failure:?}");
    }
}

#[tokio::test]
async fn a_failing_prep_says_so() {
    fails(&[("PREP", "cd no-such-folder")], Cause::Prep, Stage::Prep, "No such file or directory").await;
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
async fn a_spec_that_the_platform_does_not_understand_is_an_invalid_source() {
    let spec =
        script(&[("PREAMBLE", "%{?mini13:%{error:not here}}%(test -e /etc/debian_version || echo 'Nonsense: yes')")]);
    let built = Build::new("mini12", &[&spec]).run(&driver(shared_data()).await).await;
    let failure = built.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::SourceInvalid, Stage::Source), "{failure:?}\n{}", built.log);
}

#[tokio::test]
async fn requirements_that_a_spec_generates_are_installed() {
    let spec = script(&[
        ("SECTIONS", "%generate_buildrequires\necho bison\ntest -x /usr/bin/bison && echo flex || :"),
        ("BUILD", "flex --version && bison --version"),
    ]);
    let built = Build::new("mini13", &[&spec]).run(&driver(shared_data()).await).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);
}

#[tokio::test]
async fn a_generated_requirement_that_nothing_provides_is_named() {
    let spec = script(&[("SECTIONS", "%generate_buildrequires\necho 'no-such-thing >= 3'")]);
    let built = Build::new("mini12", &[&spec]).run(&driver(shared_data()).await).await;
    let failure = built.failure();
    assert_eq!(failure.cause, Cause::Dependencies, "{failure:?}");
    assert!(failure.message.contains("no-such-thing >= 3"), "{failure:?}");
}

#[tokio::test]
async fn requirements_that_never_settle_are_given_up_after_some_rounds() {
    let (repository, most) = (Repository::new(), 10);
    let more: String = (1..=most + 1)
        .map(|n| format!("%package -n more-{n}\nSummary: x\n%description -n more-{n}\nx\n%files -n more-{n}\n"))
        .collect();
    repository.add("more", "1", "more", &more);
    let top = repository.folder().parent().unwrap().join("top/RPMS/noarch");
    for made in std::fs::read_dir(top).unwrap().flatten() {
        std::fs::rename(made.path(), repository.folder().join(made.file_name())).unwrap();
    }
    repository.index();
    let script = script(&[(
        "SECTIONS",
        "%generate_buildrequires\necho x >> /builddir/asked\necho more-$(wc -l < /builddir/asked)",
    )]);
    let mut build = Build::new("mini12", &[&script]);
    build.request.repositories.push(repository.described());
    let built = build.run(&driver(shared_data()).await).await;
    let failure = built.failure();
    assert_eq!(
        (failure.cause, failure.stage),
        (Cause::Dependencies, Stage::Dependencies),
        "{failure:?}\n{}",
        built.log
    );
    assert_eq!(failure.message, format!("%generate_buildrequires asked for more {most} times"));
    assert_eq!(built.log.lines().filter(|line| line.starts_with("Complete!")).count(), most, "{}", built.log);
}

#[tokio::test]
async fn a_source_may_need_what_another_of_the_job_brings() {
    let user = script(&[("PREAMBLE", "BuildRequires: small"), ("BUILD", "/usr/bin/small")]);
    let built = Build::new("mini12", &[&user, SMALL]).run(&driver(shared_data()).await).await;
    assert_eq!(built.packages().len(), 4, "{}", built.log);
    assert!(built.log.contains("small but real"), "{}", built.log);
}

#[tokio::test]
async fn sources_that_wait_for_each_other_in_vain_fail() {
    let one = script(&[("PREAMBLE", "BuildRequires: two")]);
    let two = script(&[("PREAMBLE", "BuildRequires: one")]).replace("Name: script", "Name: two");
    let built = Build::new("mini12", &[&one, &two]).run(&driver(shared_data()).await).await;
    let failure = built.failure();
    assert_eq!(failure.cause, Cause::Dependencies, "{}", built.log);
    let expected = "2 of 2 sources cannot be built on mini12-x86_64: script-1-1 lacks two (which two-1-1 would bring); two-1-1 \
                    lacks one";
    assert_eq!(failure.message, expected);
}

#[tokio::test]
async fn sources_are_built_in_the_order_that_they_need_each_other_in() {
    let named = |name: &str, needs: &str| {
        let preamble = if needs.is_empty() { String::new() } else { format!("BuildRequires: {needs}") };
        script(&[("PREAMBLE", &preamble)])
            .replace("Name: script", &format!("Name: {name}"))
            .replace("/script", &format!("/{name}"))
    };
    let specs = [named("top", "middle, bottom"), named("middle", "bottom"), named("bottom", "")];
    let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
    let built = Build::new("mini12", &specs).run(&driver(shared_data()).await).await;
    assert_eq!(built.packages().len(), 6, "{}", built.log);
    let told: Vec<&str> = built.log.lines().filter(|line| line.starts_with("[farm] source ")).collect();
    assert_eq!(told, ["[farm] source 3 of 3", "[farm] source 2 of 3", "[farm] source 1 of 3"]);
}

#[tokio::test]
async fn of_each_source_that_cannot_be_built_is_told_what_it_lacks_and_which_are_a_cycle() {
    let named = |name: &str, needs: &str| {
        let preamble = format!("BuildRequires: {needs}");
        script(&[("PREAMBLE", &preamble)])
            .replace("Name: script", &format!("Name: {name}"))
            .replace("/script", &format!("/{name}"))
    };
    let specs = [named("egg", "hen"), named("good", "bash"), named("hen", "egg"), named("poor", "no-such-thing >= 2")];
    let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
    let built = Build::new("mini12", &specs).run(&driver(shared_data()).await).await;
    let failure = built.failure();
    assert_eq!((failure.cause, failure.stage), (Cause::Dependencies, Stage::Dependencies));
    let expected = [
        "egg-1-1 lacks hen (which hen-1-1 would bring)",
        "hen-1-1 lacks egg (which egg-1-1 would bring)",
        "poor-1-1 lacks no-such-thing >= 2",
        "egg-1-1, hen-1-1 are a cycle: each waits for another's result",
    ];
    assert_eq!(failure.message, format!("3 of 4 sources cannot be built on mini12-x86_64: {}", expected.join("; ")));
    let told: Vec<&str> = failure.excerpt.iter().filter_map(|line| line.text.strip_prefix("[farm] ")).collect();
    assert_eq!(told, expected);
}
