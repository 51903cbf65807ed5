//! The self test on real platforms.

use std::path::PathBuf;

use crate::support::{Farm, json, recipe};

fn platforms() -> Vec<PathBuf> {
    ["mini12", "mini13"].map(farm_testing::platform).to_vec()
}

#[test]
fn a_farm_that_works_passes_its_self_test_on_every_platform() {
    let recipes = platforms();
    let farm = Farm::start(&recipes);
    let report = json(farm.admin().args(["selftest", "--json"]));
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(report["troubles"], serde_json::json!([]));
    let steps = report["steps"].as_array().unwrap();
    for step in ["packed", "uploaded", "submitted", "validated"] {
        assert!(steps.iter().any(|s| s["step"] == step && s["platform"].is_null()), "no {step} in {report:#}");
    }
    // The others may pass too fast to be seen.
    for step in ["claimed", "chroot", "source", "collect", "claim to finish", "downloaded"] {
        let platforms = steps.iter().filter(|s| s["step"] == step && !s["platform"].is_null()).count();
        assert_eq!(platforms, recipes.len(), "{step} in {report:#}");
    }
    // Warm now: as people see it.
    let output = farm.admin().arg("selftest").assert().success().get_output().clone();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("STEP (ms)") && said.ends_with("The farm works.\n"), "{said}");
}

#[test]
fn a_platform_without_its_repository_fails_the_self_test_with_cause_log_and_blame() {
    let dir = tempfile::tempdir().unwrap();
    let broken = recipe(dir.path(), "void-x86_64", "file:///nonexistent/repository");
    let farm = Farm::start(&[broken]);
    // Faults of the farm are tried again elsewhere, which takes longer than anyone wants to wait here.
    let output = farm.admin().args(["selftest", "--json", "--timeout", "10s"]).assert().code(1).get_output().clone();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let trouble = &report["troubles"][0];
    assert_eq!(trouble["platform"], "void-x86_64", "{report:#}");
    assert_eq!(trouble["blame"], "the repositories of void-x86_64, or its recipe");
    assert!(trouble["log"].as_str().unwrap().starts_with(&farm.url), "{report:#}");
}

#[test]
fn a_farm_whose_builder_is_drained_fails_and_the_builder_is_blamed() {
    let dir = tempfile::tempdir().unwrap();
    let farm = Farm::start(&[recipe(dir.path(), "void-x86_64", "file:///nonexistent/repository")]);
    let builders = json(farm.admin().args(["builder", "list", "--json"]));
    let name = builders[0]["name"].as_str().unwrap();
    farm.admin().args(["builder", "drain", name, "--reason", "new disk"]).assert().success();

    let output = farm.admin().args(["selftest", "--timeout", "2s"]).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("to blame: farm-builder") && said.contains("is draining: new disk"), "{said}");
    // What could not be built is not left behind.
    let platforms = json(farm.admin().args(["platform", "list", "--json"]));
    assert_eq!(platforms[0]["pending"], 0);
}

#[test]
fn a_farm_without_platforms_is_told_so() {
    let farm = Farm::start(&[]);
    let output = farm.admin().arg("selftest").assert().code(1).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("farm-admin platform add"));
}
