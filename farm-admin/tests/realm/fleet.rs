//! Builders that come by themselves with a keytab, work, and go.

use std::process::Command;

use farm_api::recipe::Recipe;
use farm_db::{Viewer, fleets, operator, read, testing};
use farm_testing::{DEADLINE, Process, Spec, eventually_blocking, platform, program};
use farm_types::BuilderState;

use crate::site::{Site, localhost, printed};

const PRINCIPALS: &str = "builder/*.fleet.farm.test@FARM.TEST";

/// The configuration of a builder that is to be taken off the list at its end.
fn config(site: &Site, hub: &Process, host: &str) -> String {
    let keytab = site.realm.add_service(&format!("builder/{host}"));
    // Base trees are kept there from run to run.
    let data = concat!(env!("CARGO_TARGET_TMPDIR"), "/farm-builder");
    format!(
        "hub = \"{}\"\nname = \"{host}\"\nslots = 8\ndata = \"{data}\"\nderegister_on_exit = true\n[kerberos]\nclient_keytab = \"{}\"\n",
        localhost(hub, "/"),
        keytab.display()
    )
}

/// Starts a builder.
fn builder(site: &Site, hub: &Process, host: &str) -> Process {
    Process::daemon_with("farm-builder", &config(site, hub, host), |command: &mut Command| {
        command.envs(site.realm.env());
    })
}

/// Starts a builder that is not to be let in; gives its exit code and what it said.
fn refused(site: &Site, hub: &Process, host: &str) -> (Option<i32>, String) {
    let file = site.dir.path().join("refused.toml");
    fs_err::write(&file, config(site, hub, host)).unwrap();
    let mut command = Command::new("timeout");
    command.arg("60").arg(program("farm-builder", "farm-builder")).arg("--config").arg(file).envs(site.realm.env());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn allow(site: &Site) {
    let fleet = testing::fleet("night", PRINCIPALS);
    fleets::allow_builders(&mut site.db.connect(), &testing::operator(), &fleet).unwrap();
}

/// The builders that are there.
fn there(site: &Site) -> Vec<String> {
    let builders = read::builders(&mut site.db.connect(), Viewer::ANYBODY, None).unwrap();
    builders.into_iter().map(|builder| builder.name.to_string()).collect()
}

#[test]
fn a_builder_that_nobody_registered_builds_a_package_leaves_and_is_gone() {
    let site = Site::new();
    let recipe: Recipe = toml::from_str(&fs_err::read_to_string(platform("mini12")).unwrap()).unwrap();
    operator::put_platform(&mut site.db.connect(), &testing::operator(), &recipe).unwrap();
    allow(&site);
    let (web, hub) = (site.web(), site.daemon("hub").start());
    let _validator = site.daemon("validator").start();
    let mut builder = builder(&site, &hub, "w1.fleet.farm.test");
    builder.wait_for_log("this builder would have 8 slots, and the farm lets it have 2");
    assert_eq!(there(&site), ["w1.fleet.farm.test"]);

    let (alice, server) = (site.person("alice"), localhost(&web, "/"));
    let package = Spec::named("by-a-fleet").build("true").srpm().display().to_string();
    printed(&site.tool("farm-submit", &alice, &server, &[&package]));
    assert!(builder.terminate().success(), "{}", builder.log());
    builder.wait_for_log("the farm knows that this builder has left");
    assert!(there(&site).is_empty());
    // Who built it is still known.
    let attempt = printed(&site.tool("farm", &alice, &server, &["show", "1", "--json"]));
    assert!(attempt.contains("w1.fleet.farm.test"), "{attempt}");
    let audit = site.audit();
    let did = audit.iter().filter(|entry| entry.object == "builder w1.fleet.farm.test").map(|entry| &entry.action[..]);
    assert_eq!(did.filter(|action| *action != "log in").collect::<Vec<_>>(), ["register", "hello", "deregister"]);
}

#[test]
fn a_builder_of_no_fleet_is_told_what_an_operator_would_have_to_do() {
    let site = Site::new();
    allow(&site);
    let hub = site.daemon("hub").start();
    for host in ["w1.farm.test", "w1.sub.fleet.farm.test"] {
        let (code, said) = refused(&site, &hub, host);
        assert_eq!(code, Some(1), "{said}");
        for words in [
            format!("no builder is registered under builder/{host}@FARM.TEST, and it is of no fleet"),
            format!("farm-admin builder add NAME --principal builder/{host}@FARM.TEST"),
            "farm-admin builder allow FLEET --principals PATTERN".to_owned(),
        ] {
            assert!(said.contains(&words), "“{words}” is not in: {said}");
        }
    }
    assert!(there(&site).is_empty());
}

#[test]
fn a_builder_that_an_administrator_disabled_stays_out_until_it_is_enabled() {
    let site = Site::new();
    allow(&site);
    let hub = site.daemon("hub").start();
    let host = "w2.fleet.farm.test";
    let set = |state| {
        let (conn, reason) = (&mut site.db.connect(), Some("its disk is broken"));
        operator::set_builder_state(conn, &testing::operator(), &host.parse().unwrap(), state, reason).unwrap();
    };
    let mut first = builder(&site, &hub, host);
    set(BuilderState::Disabled);
    assert!(first.terminate().success(), "{}", first.log());
    let (code, said) = refused(&site, &hub, host);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("builder {host} was disabled (its disk is broken)")), "{said}");
    set(BuilderState::Enabled);
    let _second = builder(&site, &hub, host);
    eventually_blocking("the builder to be there", DEADLINE, || (there(&site) == [host]).then_some(()));
}
