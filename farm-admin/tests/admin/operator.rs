//! Schema, platforms and builders.

use farm_testing::TestDb;

use crate::support::{command, json, misused, on, printed, recipe, refused};

#[test]
fn a_platform_is_added_listed_shown_disabled_and_enabled() {
    let (db, dir) = (TestDb::new(), tempfile::tempdir().unwrap());
    let file = recipe(dir.path(), "f13-x86_64", "http://example.org/f13");
    let add = |file: &std::path::Path| printed(on(&db).args(["platform", "add"]).arg(file));
    assert_eq!(add(&file), "added f13-x86_64\n");
    assert_eq!(add(&recipe(dir.path(), "f13-x86_64", "http://example.org/moved")), "changed f13-x86_64\n");

    let list = printed(on(&db).args(["platform", "list"]));
    let mut lines = list.lines();
    assert_eq!(lines.next().unwrap(), "PLATFORM    ENABLED  AUTO  PENDING  RUNNING  BUILDERS  DESCRIPTION");
    assert_eq!(lines.next().unwrap(), "f13-x86_64  yes      yes   0        0        0         For tests");

    let shown = printed(on(&db).args(["platform", "show", "f13-x86_64"]));
    assert!(shown.contains("baseurl = \"http://example.org/moved\""), "{shown}");
    // What is shown can be added as it is.
    fs_err::write(&file, &shown).unwrap();
    assert_eq!(add(&file), "changed f13-x86_64\n");

    let enabled = || json(on(&db).args(["platform", "list", "--json"]))[0]["enabled"].as_bool().unwrap();
    assert_eq!(printed(on(&db).args(["platform", "disable", "f13-x86_64"])), "f13-x86_64 takes no new tasks\n");
    assert!(!enabled());
    assert_eq!(printed(on(&db).args(["platform", "enable", "f13-x86_64"])), "f13-x86_64 takes new tasks\n");
    assert!(enabled());
}

#[test]
fn a_bad_recipe_is_refused_with_every_reason_and_nothing_is_changed() {
    let (db, dir) = (TestDb::new(), tempfile::tempdir().unwrap());
    let good = recipe(dir.path(), "f13-x86_64", "http://example.org/f13");
    let bad = dir.path().join("bad.toml");
    let text = "name = \"f14-x86_64\"\nrelease = \"f13\"\narch = \"x86_64\"\nbase = []\ntimeout_seconds = 0\n\n\
                [[repository]]\nname = \"no good\"\nmetalink = \"http://example.org/\"\nbaseurl = \"http://example.org/ x\"\n";
    fs_err::write(&bad, text).unwrap();
    let no_recipe = dir.path().join("no-recipe.toml");
    fs_err::write(&no_recipe, "colour = \"blue\"\n").unwrap();

    let mut add = on(&db);
    let output = add.args(["platform", "add"]).args([&good, &bad, &no_recipe]).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    for reason in [
        "nothing was changed",
        "name “f14-x86_64” is not release-arch, “f13-x86_64”",
        "base is empty",
        "timeout_seconds is 0",
        "“no good” is no repository name",
        "either baseurl or metalink",
        "gpgcheck needs a gpgkey",
        "“http://example.org/ x” is no URL",
        "no-recipe.toml is no recipe",
    ] {
        assert!(said.contains(reason), "“{reason}” is not in:\n{said}");
    }
    assert_eq!(json(on(&db).args(["platform", "list", "--json"])), serde_json::json!([]));
}

#[test]
fn a_platform_that_is_not_there_is_named() {
    let db = TestDb::new();
    for verb in ["show", "enable", "disable"] {
        let output = on(&db).args(["platform", verb, "f99-x86_64"]).assert().code(1).get_output().clone();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "farm-admin: there is no platform f99-x86_64\n");
    }
    let output = on(&db).args(["platform", "show", "../etc/passwd"]).assert().code(2).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("is no platform name"));
}

#[test]
fn a_builder_is_registered_listed_drained_and_enabled() {
    let db = TestDb::new();
    let add = || printed(on(&db).args(["builder", "add", "host1"]));
    let (token, other) = (add(), add());
    assert!(token.trim().len() >= 32 && token.lines().count() == 1, "{token}");
    assert_ne!(token, other, "a known builder gets a new token");

    let drain =
        on(&db).args(["builder", "drain", "host1", "--reason", "new disk"]).assert().success().get_output().clone();
    assert_eq!(String::from_utf8(drain.stdout).unwrap(), "host1 is draining\n");
    let list = printed(on(&db).args(["builder", "list"]));
    assert!(list.lines().nth(1).unwrap().starts_with("host1    draining (new disk)  no     0/0"), "{list}");

    assert_eq!(printed(on(&db).args(["builder", "enable", "host1"])), "host1 is enabled\n");
    let listed = json(on(&db).args(["--json", "builder", "list"]));
    assert_eq!((&listed[0]["state"], &listed[0]["reason"]), (&"enabled".into(), &serde_json::Value::Null));
    assert!(!listed.to_string().contains(token.trim()), "no list shows a token");

    let output = on(&db).args(["builder", "drain", "host9"]).assert().code(1).get_output().clone();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "farm-admin: there is no builder host9\n");
}

#[test]
fn a_builder_with_a_principal_gets_no_token_unless_one_is_asked_for() {
    let db = TestDb::new();
    let principal = "builder/host1@EXAMPLE.ORG";
    let add = |more: &[&str]| printed(on(&db).args(["builder", "add", "host1"]).args(more));
    assert_eq!(add(&["--principal", principal]), format!("host1 comes in as {principal}\n"));
    let listed = || json(on(&db).args(["builder", "list", "--json"]))[0].clone();
    assert_eq!((&listed()["principal"], &listed()["has_token"]), (&principal.into(), &false.into()));
    let token = add(&["--principal", principal, "--token", "--platforms", "f13-x86_64,f14-x86_64"]);
    let digest = token.trim().parse::<farm_auth::Token>().unwrap().digest();
    let known = |digest| farm_db::operator::builder_by_token(&mut db.connect(), digest).unwrap().map(|b| b.name);
    assert_eq!(known(&digest), Some("host1".parse().unwrap()));
    assert_eq!(listed()["platforms"], serde_json::json!(["f13-x86_64", "f14-x86_64"]));
    let list = printed(on(&db).args(["builder", "list"]));
    assert!(list.lines().nth(1).unwrap().contains(&format!("token, {principal}")), "{list}");
    assert!(list.lines().nth(1).unwrap().ends_with("f13-x86_64, f14-x86_64"), "{list}");

    assert_eq!(add(&["--no-token"]), "host1 comes in as before\n");
    assert_eq!(known(&digest), Some("host1".parse().unwrap()), "its token stays good");
    assert_eq!((&listed()["principal"], &listed()["platforms"]), (&principal.into(), &serde_json::Value::Null));
}

#[test]
fn a_fleet_is_allowed_listed_changed_and_disallowed() {
    let db = TestDb::new();
    let pattern = "builder/*.fleet.example.org@EXAMPLE.ORG";
    let allow = |more: &[&str]| on(&db).args(["builder", "allow", "night", "--principals", pattern]).args(more).ok();
    allow(&[]).unwrap();
    allow(&["--slots", "2", "--builders", "30"]).unwrap();
    let list = printed(on(&db).args(["builder", "fleets"]));
    let row: Vec<_> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["night", pattern, "2", "0/30"]);
    let listed = json(on(&db).args(["builder", "fleets", "--json"]));
    assert_eq!((&listed[0]["principals"], &listed[0]["present"]), (&pattern.into(), &0.into()));
    farm_db::testing::builder_of_a_fleet(&mut db.connect(), "builder/w1.fleet.example.org@EXAMPLE.ORG").unwrap();
    let list = printed(on(&db).args(["builder", "list"]));
    assert!(list.contains("w1.fleet.example.org") && list.contains("night"), "{list}");
    let said = printed(on(&db).args(["builder", "disallow", "night"]));
    assert_eq!(said, "nobody registers as one of night any more; 1 finish what they have and are given no more\n");
    assert_eq!(refused(on(&db).args(["builder", "disallow", "night"])), "farm-admin: there is no fleet night\n");
    let said = refused(on(&db).args(["builder", "allow", "night", "--principals", "builder/w1@*"]));
    assert!(said.contains("“builder/w1@*” is no pattern for principals of builders"), "{said}");
    let unknown = ["--principals", pattern, "--platforms", "nowhere-x86_64"];
    let said = refused(on(&db).args(["builder", "allow", "night"]).args(unknown));
    assert_eq!(said, "farm-admin: there is no platform nowhere-x86_64\n");
}

#[test]
fn a_builder_that_could_not_come_in_or_takes_the_principal_of_another_is_refused() {
    let db = TestDb::new();
    let said = refused(on(&db).args(["builder", "add", "host1", "--no-token"]));
    assert!(said.contains("host1 could not come in: give it a token, or with --principal"), "{said}");
    printed(on(&db).args(["builder", "add", "host1", "--principal", "builder/host1"]));
    let said = refused(on(&db).args(["builder", "add", "host2", "--principal", "builder/host1"]));
    assert_eq!(said, "farm-admin: another builder comes as builder/host1\n");
    misused(on(&db).args(["builder", "add", "host3", "--token", "--no-token"]));
    assert_eq!(json(on(&db).args(["builder", "list", "--json"])).as_array().unwrap().len(), 1);
}

#[test]
fn an_empty_database_is_migrated_once() {
    let db = TestDb::empty();
    let planned = json(on(&db).args(["migrate", "--dry-run", "--json"]));
    assert!(!planned.as_array().unwrap().is_empty());
    assert_eq!(json(on(&db).args(["migrate", "--json"])).as_array().unwrap().len(), planned.as_array().unwrap().len());
    assert_eq!(printed(on(&db).arg("migrate")), "the schema is up to date\n");
}

#[test]
fn where_there_is_no_farm_the_way_to_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = assert_cmd::Command::from_std(command());
    let output = command.args(["platform", "list", "--data"]).arg(dir.path()).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no farm in") && said.contains("farm-admin up"), "{said}");
}

#[test]
fn a_farm_is_named_by_its_folder_or_its_database_and_not_by_both() {
    let mut command = assert_cmd::Command::from_std(command());
    command.args(["platform", "list", "--data", "/x", "--database", "dbname=farm"]).assert().code(2);
}

#[test]
fn spare_slots_of_a_builder_are_set_listed_and_given_back() {
    let db = TestDb::new();
    farm_db::testing::builder(&mut db.connect(), "one");
    let spare = |slots: &str| printed(on(&db).args(["builder", "spare", "one", slots]));
    assert_eq!(spare("1"), "background tasks leave 1 slot of one free\n");
    assert!(printed(on(&db).args(["builder", "list"])).contains(" (1 spare)"));
    assert_eq!(json(on(&db).args(["builder", "list", "--json"]))[0]["spare_slots"], 1);
    assert_eq!(spare("0"), "background tasks may use all slots of one\n");
    assert!(!printed(on(&db).args(["builder", "list"])).contains("spare"));
    assert!(refused(on(&db).args(["builder", "spare", "nobody", "1"])).contains("there is no builder nobody"));
    assert!(misused(on(&db).args(["builder", "spare", "one", "40000"])).contains("40000 is not in 0..=1000"));
}
