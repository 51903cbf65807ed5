//! What a job may ask of its builds, and what every build finds without asking.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Build, Built, SMALL, driver, script, shared_data};
use farm_api::options::BuildOptions;
use farm_types::Cause;
use serde_json::{Value, json};

/// A build of one spec, with these options.
async fn asking(release: &str, spec: &str, options: Value) -> Built {
    let mut build = Build::new(release, &[spec]);
    build.request.options = serde_json::from_value::<BuildOptions>(options).unwrap();
    build.run(&driver(shared_data()).await).await
}

#[tokio::test]
async fn a_check_is_run_unless_the_job_says_no() {
    let spec = script(&[("CHECK", "echo 'FAIL: on purpose'; exit 1")]);
    for release in ["mini12", "mini13"] {
        let built = asking(release, &spec, json!({ "check": false })).await;
        assert_eq!(built.packages().len(), 2, "{}", built.log);
        assert!(built.log.contains("[farm] check: off\n") && !built.log.contains("on purpose"), "{}", built.log);
        assert_eq!(asking(release, &spec, json!({})).await.failure().cause, Cause::Check);
    }
}

#[tokio::test]
async fn without_a_check_generated_requirements_are_still_found() {
    let spec = script(&[
        ("SECTIONS", "%generate_buildrequires\necho bison"),
        ("BUILD", "bison --version"),
        ("CHECK", "exit 1"),
    ]);
    let built = asking("mini12", &spec, json!({ "check": false })).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);
}

/// Prints what conditions and macros came to, at the time when BuildRequires are read and when it is built.
const CURIOUS: &str = "%bcond_with spicy\n%bcond_without docs\n%{?with_docs:BuildRequires: no-such-docs}\n\
                       %{?with_spicy:BuildRequires: bison}";

#[tokio::test]
async fn conditions_and_macros_reach_every_step_of_rpmbuild() {
    let built = asking("mini12", &script(&[("PREAMBLE", CURIOUS)]), json!({})).await;
    assert!(built.failure().message.contains("no-such-docs"), "{:?}", built.failure());
    let build = "bison --version\necho 'spicy %{with spicy} docs %{with docs} [%{flavour}]'";
    let spec = script(&[("PREAMBLE", CURIOUS), ("BUILD", build)]);
    let asked = json!({ "with": ["spicy"], "without": ["docs"], "macros": { "flavour": "sweet" } });
    for release in ["mini12", "mini13"] {
        let built = asking(release, &spec, asked.clone()).await;
        assert_eq!(built.packages().len(), 2, "{}", built.log);
        assert!(built.log.contains("spicy 1 docs 0 [sweet]"), "{}", built.log);
        for line in ["with: spicy", "without: docs", "macro: flavour sweet"] {
            assert!(built.log.contains(&format!("[farm] {line}\n")), "{line}: {}", built.log);
        }
    }
}

#[tokio::test]
async fn a_macro_is_never_read_by_a_shell_of_ours_nor_taken_for_an_option() {
    let spec = script(&[("BUILD", "cat <<'END'\n[%{hostile}] [%{empty}]\nEND\ntest ! -e /builddir/owned")]);
    let hostile = "$(touch /builddir/owned); `touch /builddir/owned` \" ' | & > /builddir/owned -- --eval x";
    let built = asking("mini12", &spec, json!({ "macros": { "hostile": hostile, "empty": "" } })).await;
    assert_eq!(built.packages().len(), 2, "{}", built.log);
    assert!(built.log.contains(&format!("[{hostile}] []")), "{}", built.log);
}

#[tokio::test]
async fn what_the_farm_defines_itself_wins() {
    // The door refuses these; a driver that is asked all the same still finds what was built.
    let asked = json!({ "macros": { "_topdir": "/tmp/elsewhere", "_buildhost": "elsewhere", "dist": ".mine" } });
    let built = asking("mini12", SMALL, asked).await;
    assert_eq!(built.packages(), ["small-1.0-1.mine.src.rpm", "small-1.0-1.mine.x86_64.rpm"]);
    let package = built.folder.path().join("results/small-1.0-1.mine.x86_64.rpm");
    let host = std::process::Command::new("rpm").args(["-qp", "--qf", "%{BUILDHOST}"]).arg(package).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&host.stdout), "farm");
}

#[tokio::test]
async fn every_build_has_bash_a_loopback_and_the_date_of_its_changelog() {
    let build = "echo \"epoch $SOURCE_DATE_EPOCH\"\n/bin/sh -c 'a=(1 2); echo \"array ${#a[@]}\"'\n\
                 exec 3<>/dev/udp/127.0.0.1/9 && echo 'lo is up'\ngrep -c : /proc/net/dev | sed 's/^/interfaces /'";
    let changelog = "%changelog\n* Thu Jan 02 2020 Somebody <somebody@example.org> - 1-1\n- First";
    let spec = script(&[("BUILD", build), ("FILES", &format!("\n{changelog}"))]);
    for (release, dist) in [("mini12", ".mini12"), ("mini13", ".mini13")] {
        let built = asking(release, &spec, json!({})).await;
        for line in ["epoch 1577923200", "array 2", "lo is up", "interfaces 1"] {
            assert!(built.log.lines().any(|found| found == line), "{release}, {line}: {}", built.log);
        }
        let made = asking(release, SMALL, json!({})).await;
        assert!(made.packages().iter().all(|name| name.contains(dist)), "{:?}", made.packages());
    }
}

#[tokio::test]
async fn a_platform_of_32_bits_is_built_for_on_a_machine_of_64() {
    let check = "uname -m\necho 'cpu %{_target_cpu} arch %{_arch} libdir %{_libdir}'\ngcc -dumpmachine\n";
    let spec = SMALL.replace("%check\n", &format!("%check\n{check}"));
    let built = Build::new("mini12-i686", &[&spec]).run(&driver(shared_data()).await).await;
    assert_eq!(built.packages(), ["small-1.0-1.mini12.i686.rpm", "small-1.0-1.mini12.src.rpm"]);
    for line in ["i686", "cpu i686 arch i386 libdir /usr/lib", "i686-linux-gnu"] {
        assert!(built.log.lines().any(|found| found == line), "{line}: {}", built.log);
    }
    let package = farm_rpm::read_binary(
        &built.folder.path().join("results/small-1.0-1.mini12.i686.rpm"),
        &farm_rpm::Limits::default(),
    );
    let requires = package.unwrap().package.unwrap().requires;
    assert!(requires.iter().all(|need| !need.name.contains("64bit")), "{requires:?}");
}
