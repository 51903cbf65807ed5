//! What the doctor says of this machine and of farms that are not well.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

use farm_testing::TestDb;
use serde_json::Value;

use crate::support::{command, on, printed, recipe};

fn findings(mut command: assert_cmd::Command) -> Vec<Value> {
    let output = command.args(["doctor", "--json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn named<'f>(findings: &'f [Value], name: &str) -> &'f Value {
    findings.iter().find(|finding| finding["name"] == name).unwrap_or_else(|| panic!("no {name} in {findings:?}"))
}

#[test]
fn a_machine_that_runs_these_tests_is_fit_for_a_farm() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
    let mut doctor = assert_cmd::Command::from_std(command());
    let said = printed(doctor.arg("doctor").arg("--data").arg(dir.path()));
    for name in ["unshare", "bwrap", "createrepo_c", "postgresql", "user namespaces", "overlay", "bubblewrap", "disk"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("ok       {name} "))), "{name} is not well:\n{said}");
    }
    assert!(said.contains("`farm-admin up` makes one"), "{said}");
    let left: Vec<_> = fs_err::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "the doctor leaves nothing behind: {left:?}");
}

#[test]
fn a_farm_without_platforms_is_told_how_to_get_one() {
    let db = TestDb::new();
    let findings = findings(on(&db));
    assert_eq!(named(&findings, "schema")["verdict"], "ok");
    assert_eq!(named(&findings, "platforms")["cure"], "farm-admin platform add RECIPE.toml");
}

#[test]
fn a_platform_for_which_nobody_builds_is_wrong_and_so_is_the_exit_code() {
    let (db, dir) = (TestDb::new(), tempfile::tempdir().unwrap());
    let file = recipe(dir.path(), "f13-x86_64", "http://example.org/");
    on(&db).args(["platform", "add"]).arg(file).assert().success();
    on(&db).arg("doctor").assert().code(1);
    let platform = &findings(on(&db));
    let platform = named(platform, "f13-x86_64");
    assert_eq!(platform["verdict"], "wrong");
    assert_eq!(platform["detail"], "nobody builds for it: no builder of x86_64 is alive");
}

#[test]
fn a_database_without_its_schema_gets_the_command_that_brings_it() {
    let db = TestDb::empty();
    let findings = findings(on(&db));
    let schema = named(&findings, "schema");
    assert_eq!(schema["verdict"], "wrong");
    assert_eq!(schema["cure"], format!("farm-admin migrate --database '{}'", db.url()));
}

#[test]
fn a_database_that_is_not_there_is_wrong() {
    let mut command = command();
    command.args(["--database", "host=/nonexistent dbname=farm"]);
    let findings = findings(assert_cmd::Command::from_std(command));
    assert_eq!(named(&findings, "database")["verdict"], "wrong");
}

#[test]
fn in_brief_only_what_is_not_well_is_said() {
    let db = TestDb::new();
    let output = on(&db).args(["doctor", "--brief"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.lines().any(|line| line.starts_with("ok ")), "{said}");
}
