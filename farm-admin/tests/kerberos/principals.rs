//! `make-principals`, on a real KDC.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use farm_testing::Realm;

use crate::support::{command_in, deploy, run, said};

/// A whole farm on three machines, and two builders.
pub const FARM: [&str; 10] = [
    "--web",
    "farm.farm.test",
    "--hub",
    "hub.farm.test",
    "--database",
    "localhost",
    "--builder",
    "b1.farm.test",
    "--builder",
    "b2.farm.test",
];

/// The script, about to make keytabs.
pub fn script(realm: &Realm, out: &Path, args: &[&str]) -> Command {
    let mut command = command_in(realm, deploy("kerberos/make-principals"));
    command.args(["--realm", realm.name(), "--out"]).arg(out).args(args);
    command
}

/// Each keytab below a folder and what is in it, and its mode.
fn keytabs(out: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32)> {
    let hosts = fs_err::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    let files = hosts.flat_map(|host| fs_err::read_dir(host).unwrap().map(|entry| entry.unwrap().path()));
    files
        .map(|file| {
            let mode = fs_err::metadata(&file).unwrap().permissions().mode() & 0o7777;
            (file.strip_prefix(out).unwrap().to_owned(), (fs_err::read(&file).unwrap(), mode))
        })
        .collect()
}

/// Logs in with a keytab, as its first principal; gives the ticket's file.
fn log_in(realm: &Realm, out: &Path, keytab: &str, principal: &str) -> PathBuf {
    let cache = realm.dir().join(format!("ticket-{}", principal.replace('/', "-")));
    run(command_in(realm, "kinit").args(["-k", "-t"]).arg(out.join(keytab)).arg("-c").arg(&cache).arg(principal));
    cache
}

/// Gets a ticket for a service, or takes the one that is there, and reads it with a keytab.
fn call(realm: &Realm, cache: &Path, keytab: &Path, service: &str) -> Output {
    let mut kvno = command_in(realm, "kvno");
    kvno.arg("-c").arg(cache).arg("-k").arg(keytab).arg(service).output().unwrap()
}

const ALL: [(&str, &str); 10] = [
    ("b1.farm.test/farm-builder.keytab", "builder/b1.farm.test"),
    ("b2.farm.test/farm-builder.keytab", "builder/b2.farm.test"),
    ("farm.farm.test/farm-publisher.keytab", "publisher/farm.farm.test"),
    ("farm.farm.test/farm-web.keytab", "web/farm.farm.test"),
    ("farm.farm.test/http.keytab", "HTTP/farm.farm.test"),
    ("hub.farm.test/farm-hub.keytab", "hub/hub.farm.test"),
    ("hub.farm.test/farm-janitor.keytab", "janitor/hub.farm.test"),
    ("hub.farm.test/farm-validator.keytab", "validator/hub.farm.test"),
    ("hub.farm.test/http.keytab", "HTTP/hub.farm.test"),
    ("localhost/postgres.keytab", "postgres/localhost"),
];

#[test]
fn a_farm_gets_a_keytab_per_process_that_logs_in_and_that_nobody_else_reads() {
    let (realm, dir) = (Realm::start(), tempfile::tempdir().unwrap());
    let out = dir.path().join("keytabs");
    let printed = run(&mut script(&realm, &out, &FARM));
    let made = keytabs(&out);
    assert_eq!(made.keys().map(|path| path.to_str().unwrap()).collect::<Vec<_>>(), ALL.map(|(keytab, _)| keytab));
    assert!(made.values().all(|(_, mode)| *mode == 0o400), "{made:?}");
    assert_eq!(fs_err::metadata(&out).unwrap().permissions().mode() & 0o7777, 0o700);
    for (keytab, principal) in ALL {
        log_in(&realm, &out, keytab, principal);
    }
    for line in [
        "farm.farm.test:/etc/farm/keytabs/farm-web-http.keytab  owner farm-web",
        "localhost:/etc/farm/keytabs/postgres.keytab  owner postgres",
        "farm-admin builder add b1 --principal builder/b1.farm.test@FARM.TEST",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
}

#[test]
fn who_only_logs_in_is_nobody_to_get_a_ticket_for() {
    let (realm, out) = (Realm::start(), tempfile::tempdir().unwrap());
    run(&mut script(&realm, out.path(), &FARM));
    let cache = log_in(&realm, out.path(), "b1.farm.test/farm-builder.keytab", "builder/b1.farm.test");
    let (web, http) =
        (out.path().join("farm.farm.test/farm-web.keytab"), out.path().join("farm.farm.test/http.keytab"));
    assert!(call(&realm, &cache, &http, "HTTP/farm.farm.test").status.success());
    assert!(!call(&realm, &cache, &web, "web/farm.farm.test").status.success());
}

#[test]
fn a_second_run_changes_nothing_and_a_builder_can_be_added_later() {
    let (realm, out) = (Realm::start(), tempfile::tempdir().unwrap());
    run(&mut script(&realm, out.path(), &FARM));
    let before = keytabs(out.path());
    run(&mut script(&realm, out.path(), &FARM));
    assert_eq!(keytabs(out.path()), before);
    run(&mut script(&realm, out.path(), &["--builder", "b3.farm.test"]));
    assert_eq!(keytabs(out.path()).len(), before.len() + 1);
    for (keytab, principal) in ALL {
        log_in(&realm, out.path(), keytab, principal);
    }
}

#[test]
fn keytabs_made_elsewhere_do_not_make_the_installed_ones_void() {
    let (realm, installed, elsewhere) = (Realm::start(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for out in [&installed, &elsewhere] {
        run(&mut script(&realm, out.path(), &["--web", "farm.farm.test"]));
    }
    for out in [&installed, &elsewhere] {
        log_in(&realm, out.path(), "farm.farm.test/farm-web.keytab", "web/farm.farm.test");
    }
}

#[test]
fn a_new_key_joins_the_old_one_so_that_tickets_that_are_about_stay_good() {
    let (realm, out) = (Realm::start(), tempfile::tempdir().unwrap());
    run(&mut script(&realm, out.path(), &FARM));
    let http = out.path().join("farm.farm.test/http.keytab");
    let cache = log_in(&realm, out.path(), "b1.farm.test/farm-builder.keytab", "builder/b1.farm.test");
    assert!(call(&realm, &cache, &http, "HTTP/farm.farm.test").status.success());

    run(&mut script(&realm, out.path(), &["--web", "farm.farm.test", "--rekey"]));
    let old = call(&realm, &cache, &http, "HTTP/farm.farm.test");
    assert!(old.status.success() && said(&old).contains("kvno = 2"), "{}", said(&old));
    let fresh = log_in(&realm, out.path(), "b2.farm.test/farm-builder.keytab", "builder/b2.farm.test");
    let new = call(&realm, &fresh, &http, "HTTP/farm.farm.test");
    assert!(new.status.success() && said(&new).contains("kvno = 3"), "{}", said(&new));
    log_in(&realm, out.path(), "farm.farm.test/farm-web.keytab", "web/farm.farm.test");
    assert!(keytabs(out.path()).values().all(|(_, mode)| *mode == 0o400));
}

#[test]
fn web_and_hub_on_one_machine_have_one_key_of_http() {
    let (realm, out) = (Realm::start(), tempfile::tempdir().unwrap());
    let printed = run(&mut script(&realm, out.path(), &["--web", "localhost", "--hub", "localhost"]));
    log_in(&realm, out.path(), "localhost/http.keytab", "HTTP/localhost");
    for daemon in ["farm-web", "farm-hub"] {
        assert!(printed.contains(&format!("{daemon}-http.keytab  owner {daemon}")), "{printed}");
    }
}

#[test]
fn a_dry_run_shows_the_commands_and_does_nothing() {
    let (realm, dir) = (Realm::start(), tempfile::tempdir().unwrap());
    let out = dir.path().join("keytabs");
    let printed = run(script(&realm, &out, &FARM).arg("--dry-run"));
    assert!(!out.exists());
    assert!(
        printed.contains(
            "kadmin.local -r FARM.TEST addprinc -randkey -allow_svr -maxlife 10m web/farm.farm.test@FARM.TEST\n"
        ),
        "{printed}"
    );
    let known = run(command_in(&realm, "kadmin.local").arg("listprincs"));
    assert!(!known.contains("web/"), "{known}");
    // They are commands: typed by hand they do the same.
    let by_hand = format!(
        "mkdir -p {0}/farm.farm.test {0}/hub.farm.test {0}/localhost {0}/b1.farm.test {0}/b2.farm.test\n{printed}",
        out.display()
    );
    run(command_in(&realm, "sh").args(["-ec", &by_hand]));
    log_in(&realm, &out, "hub.farm.test/farm-janitor.keytab", "janitor/hub.farm.test");
}

#[test]
fn what_cannot_be_meant_is_refused_in_words() {
    let (realm, out) = (Realm::start(), tempfile::tempdir().unwrap());
    for (args, words) in [
        (&["--web", "10.0.0.1"][..], "'10.0.0.1' is no host name"),
        (&["--web", "Farm.Example.Org"], "in small letters"),
        (&["--builder"], "--builder wants a value"),
        (&["--rekye"], "there is no option '--rekye'"),
        (&[], "name a machine"),
    ] {
        let output = script(&realm, out.path(), args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    let stranger = script(&realm, out.path(), &["--web", "farm.farm.test", "--kadmin", "false"]).output().unwrap();
    assert_eq!(stranger.status.code(), Some(1), "{}", said(&stranger));
}
