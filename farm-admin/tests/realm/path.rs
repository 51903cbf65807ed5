//! A job from a person's ticket to its packages, through every process, and what is written down of it.

use std::process::Command;

use farm_api::recipe::Recipe;
use farm_db::{operator, operator::NewBuilder, testing};
use farm_testing::{Process, Spec, platform};

use crate::site::{Site, localhost, printed};

/// A builder that has nothing but the keytab of its host.
fn builder(site: &Site, hub: &Process) -> Process {
    let new = NewBuilder { principal: Some("builder/host1@FARM.TEST"), ..NewBuilder::default() };
    operator::put_builder(&mut site.db.connect(), &testing::operator(), &"host1".parse().unwrap(), &new).unwrap();
    let keytab = site.realm.add_service("builder/host1");
    // Base trees are kept there from run to run.
    let data = concat!(env!("CARGO_TARGET_TMPDIR"), "/farm-builder");
    let config = format!(
        "hub = \"{}\"\nname = \"host1\"\nslots = 1\ndata = \"{data}\"\n[kerberos]\nclient_keytab = \"{}\"\n",
        localhost(hub, "/"),
        keytab.display()
    );
    Process::daemon_with("farm-builder", &config, |command: &mut Command| {
        command.envs(site.realm.env());
    })
}

#[test]
fn a_job_goes_from_a_ticket_to_packages_and_every_step_has_its_principal() {
    let site = Site::new();
    let recipe: Recipe = toml::from_str(&fs_err::read_to_string(platform("mini12")).unwrap()).unwrap();
    operator::put_platform(&mut site.db.connect(), &testing::operator(), &recipe).unwrap();
    // Its builder has to log in again while it builds.
    let (web, hub) = (site.web(), site.daemon("hub").line("login_seconds = 2").start());
    let _validator = site.daemon("validator").start();
    let builder = builder(&site, &hub);
    builder.wait_for_log("the hub gets the Kerberos ticket of this host");

    let (alice, server) = (site.person("alice"), localhost(&web, "/"));
    let package = Spec::named("by-ticket").build("env; sleep 3").srpm().display().to_string();
    printed(&site.tool("farm-submit", &alice, &server, &[&package]));
    let results = site.dir.path().join("results").display().to_string();
    printed(&site.tool("farm", &alice, &server, &["download", "1", "-d", &results]));
    assert!(fs_err::read_dir(format!("{results}/mini12-x86_64")).unwrap().count() > 0);

    let audit = site.audit();
    for (actor, way, action, object, process) in [
        ("alice@FARM.TEST", "ticket", "log in", "person alice@FARM.TEST", "web/host1@FARM.TEST"),
        ("alice@FARM.TEST", "ticket", "upload", "blob ", "web/host1@FARM.TEST"),
        ("alice@FARM.TEST", "ticket", "submit", "job 1", "web/host1@FARM.TEST"),
        ("validator/host1@FARM.TEST", "daemon", "accept", "job 1", "validator/host1@FARM.TEST"),
        ("builder/host1@FARM.TEST", "ticket", "log in", "builder host1", "hub/host1@FARM.TEST"),
        ("builder/host1@FARM.TEST", "lease", "hello", "builder host1", "hub/host1@FARM.TEST"),
        ("builder/host1@FARM.TEST", "lease", "claim", "task ", "hub/host1@FARM.TEST"),
        ("builder/host1@FARM.TEST", "lease", "finish", "task ", "hub/host1@FARM.TEST"),
    ] {
        let found = audit.iter().any(|entry| {
            (entry.actor.as_str(), entry.way.as_str(), entry.action.as_str()) == (actor, way, action)
                && entry.object.starts_with(object)
                && entry.process == process
        });
        assert!(found, "{actor} {way} {action} {object} {process} is not in {audit:#?}");
    }
    // Whatever came over the network came from somewhere.
    let remote = audit.iter().filter(|entry| ["ticket", "lease"].contains(&entry.way.as_str()));
    assert!(remote.clone().all(|entry| entry.address.as_deref() == Some("127.0.0.1")), "{audit:#?}");
    let logins = audit.iter().filter(|entry| entry.actor.starts_with("builder/") && entry.action == "log in").count();
    assert!(logins > 1, "the builder did not log in again: {audit:#?}");
    // A build sees nothing of the identity of its builder.
    let log = printed(&site.tool("farm", &alice, &server, &["logs", "1"]));
    assert!(log.contains("\nPATH=") && !log.contains("KRB5"), "{log}");
}
