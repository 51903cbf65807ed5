//! The mistakes that are made with Kerberos itself, made for real.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use farm_testing::Realm;

use crate::support::{Patient, administer, said};

/// A configuration with nothing but a client keytab.
fn client(keytab: &Path) -> String {
    format!("[kerberos]\nclient_keytab = {keytab:?}\n")
}

/// One with a keytab for callers too, and the name by which they call.
fn service(client_keytab: &Path, service: &str, keytab: &Path) -> String {
    format!("service = {service:?}\n{}service_keytab = {keytab:?}\n", client(client_keytab))
}

/// A file beside those of the realm.
fn file(realm: &Realm, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = realm.dir().join(name);
    fs_err::write(&path, content).unwrap();
    fs_err::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    path
}

#[test]
fn where_nobody_wants_kerberos_there_is_nothing_to_check() {
    let patient = Patient::of(&Realm::shared()).with("web", "database = 'host=/run/farm'\n").with("janitor", "");
    patient.findings().well(&["kerberos"]);
    let output = patient.doctor().output().unwrap();
    assert!(said(&output).contains("there is nothing to check"), "{}", said(&output));
}

#[test]
fn a_configuration_that_cannot_be_understood_or_is_nobodys_is_wrong() {
    let realm = Realm::shared();
    let unknown = Patient::of(&realm).with("web", "[kerberos]\nkeytab = 'x'\n");
    unknown.findings().only(&unknown.file("web"), "wrong", "unknown field `keytab`", "farm-web --check-config");
    let nobodys = Patient::of(&realm).with("everything", "");
    nobodys.findings().only(&nobodys.file("everything"), "wrong", "which daemon it is for", "call it farm-web.toml");
}

#[test]
fn a_krb5_conf_that_is_missing_broken_or_without_a_realm_is_wrong() {
    let realm = Realm::shared();
    let config = client(&realm.add_service("web/conf"));
    let with = |path: &Path| Patient::of(&realm).with("web", &config).config(path).findings();
    with(Path::new("/nonexistent/krb5.conf")).only("krb5.conf", "wrong", "there is no /nonexistent/krb5.conf", "copy");
    let good = fs_err::read_to_string(realm.config()).unwrap();
    let nobody = file(&realm, "krb5-nobody.conf", good.replace(" default_realm = FARM.TEST\n", ""));
    with(&nobody).only("krb5.conf", "wrong", "has no default_realm", "default_realm = EXAMPLE.ORG");
    let broken = file(&realm, "krb5-broken.conf", "[libdefaults\nwhat");
    with(&broken).only("krb5.conf", "wrong", "Improper format", "correct");
}

#[test]
fn a_realm_without_a_kdc_and_one_whose_kdc_is_down_are_told_apart_and_said_once() {
    let realm = Realm::start();
    let (web, hub) = (realm.add_service("web/host1"), realm.add_service("hub/host1"));
    let patient = || Patient::of(&realm).with("web", &client(&web)).with("hub", &client(&hub));
    let good = fs_err::read_to_string(realm.config()).unwrap();
    let lines: Vec<_> = good.lines().filter(|line| !line.contains(" kdc = ")).collect();
    let nowhere = file(&realm, "krb5-nowhere.conf", lines.join("\n"));
    patient().config(&nowhere).findings().only("kdc FARM.TEST", "wrong", "names no KDC", "[realms]");
    realm.stop();
    patient().findings().only("kdc FARM.TEST", "wrong", "no KDC of FARM.TEST answers", "port 88");
}

#[test]
fn a_clock_that_is_wrong_is_found_though_the_library_forgives_it_at_first() {
    let realm = Realm::shared();
    let patient = || Patient::of(&realm).with("web", &client(&realm.add_service("web/clock")));
    let (ahead, behind) = (patient().clock("+1h").findings(), patient().clock("-2m").findings());
    ahead.only("kdc FARM.TEST", "wrong", "s ahead of that of the KDC: tickets are refused", "timedatectl set-ntp true");
    behind.only("kdc FARM.TEST", "warning", "s behind that of the KDC", "timedatectl set-ntp true");
}

#[test]
fn a_clock_that_the_kdc_refuses_is_found() {
    let realm = Realm::shared();
    let keytab = realm.add_service("web/strict");
    administer(&realm, &["modprinc", "+requires_preauth", "web/strict"]);
    let good = fs_err::read_to_string(realm.config()).unwrap();
    let strict =
        file(&realm, "krb5-strict.conf", good.replace("[libdefaults]\n", "[libdefaults]\n kdc_timesync = 0\n"));
    let patient = Patient::of(&realm).with("web", &client(&keytab)).config(&strict).clock("+1h");
    patient.findings().only("kdc FARM.TEST", "wrong", "Clock skew too great", "timedatectl set-ntp true");
}

#[test]
fn a_keytab_that_is_missing_open_to_others_or_empty_is_wrong() {
    let realm = Realm::shared();
    let found = |keytab: &Path| Patient::of(&realm).with("hub", &client(keytab)).findings();
    found(Path::new("/nonexistent/hub.keytab")).only(
        "farm-hub keytab",
        "wrong",
        "cannot be read",
        "kadmin -q 'ktadd -k /nonexistent/hub.keytab hub/",
    );
    let open = file(&realm, "open.keytab", fs_err::read(realm.add_service("hub/open")).unwrap());
    fs_err::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    found(&open).only("farm-hub keytab", "wrong", "open to others", &format!("chmod 0400 {}", open.display()));
    found(&file(&realm, "text.keytab", "secret")).only("farm-hub keytab", "wrong", "is no keytab", "ktadd");
    found(&file(&realm, "empty.keytab", [5, 2])).only("farm-hub keytab", "wrong", "has no key in it", "ktadd");
}

#[test]
fn a_keytab_of_another_daemon_is_noticed() {
    let realm = Realm::shared();
    let patient = Patient::of(&realm).with("web", &client(&realm.add_service("hub/mixed")));
    patient.findings().only("farm-web keytab", "wrong", "is for hub/mixed@FARM.TEST", "web/HOST@FARM.TEST");
}

#[test]
fn a_key_that_is_not_the_kdcs_any_more_is_wrong() {
    let realm = Realm::shared();
    let patient = Patient::of(&realm).with("janitor", &client(&realm.add_service("janitor/old")));
    patient.findings().well(&["krb5.conf", "farm-janitor keytab", "kdc FARM.TEST"]);
    realm.outdate("janitor/old");
    patient.findings().only("farm-janitor login", "wrong", "is not the one that the KDC has", "ktadd");
    administer(&realm, &["modprinc", "+requires_preauth", "janitor/old"]);
    patient.findings().only("farm-janitor login", "wrong", "is not the one that the KDC has", "ktadd");
    realm.rotate("janitor/old");
    patient.findings().well(&["krb5.conf", "farm-janitor keytab", "kdc FARM.TEST"]);
}

#[test]
fn a_principal_that_is_unknown_disabled_or_expired_is_told_so() {
    let realm = Realm::shared();
    let found = |principal: &str, query: &[&str]| {
        let keytab = realm.add_service(principal);
        administer(&realm, &[query, &[principal]].concat());
        Patient::of(&realm).with("validator", &client(&keytab)).findings()
    };
    let deleted = found("validator/deleted", &["delprinc", "-force"]);
    deleted.only("farm-validator login", "wrong", "the KDC knows no validator/deleted@FARM.TEST", "addprinc -randkey");
    let disabled = found("validator/disabled", &["modprinc", "-allow_tix"]);
    disabled.only("farm-validator login", "wrong", "is disabled", "modprinc +allow_tix validator/disabled@FARM.TEST");
    let expired = found("validator/expired", &["modprinc", "-expire", "2020-01-01"]);
    expired.only("farm-validator login", "wrong", "has expired", "modprinc -expire never");
}

#[test]
fn people_and_builders_can_be_known_by_a_good_keytab() {
    let realm = Realm::shared();
    let (web, http) = (realm.add_service("web/good"), realm.add_service("HTTP/localhost"));
    let builder = format!("hub = 'https://localhost:8001/'\nname = 'b1'\n{}", client(&realm.add_service("builder/b1")));
    let patient = Patient::of(&realm).with("web", &service(&web, "HTTP@localhost", &http)).with("builder", &builder);
    patient.findings().well(&[
        "krb5.conf",
        "farm-web keytab",
        "kdc FARM.TEST",
        "farm-builder keytab",
        "farm-web service",
        "farm-builder hub",
    ]);
}

#[test]
fn a_service_keytab_without_the_name_by_which_people_call_is_wrong() {
    let realm = Realm::shared();
    let (web, http) = (realm.add_service("web/names"), realm.add_service("HTTP/localhost"));
    let found = |config: &str| Patient::of(&realm).with("web", config).findings();
    let other = found(&service(&web, "HTTP@farm.example.org", &http));
    other.only("farm-web service", "wrong", "has no key of HTTP/farm.example.org", "HTTP/farm.example.org'");
    // The client's own keytab, put in both places.
    let none = found(&service(&web, "HTTP@localhost", &web));
    none.only("farm-web service", "wrong", "has no key of HTTP/localhost", "ktadd");
    let unset = found(&format!("service = 'HTTP@localhost'\n{}", client(&web)));
    unset.only("farm-web service", "wrong", "no keytab with its key", "service_keytab");
    // Without a name any key will do; but this machine is called otherwise.
    let unnamed = found(&format!("{}service_keytab = {http:?}\n", client(&web)));
    unnamed.only("farm-web service", "warning", "only who calls it localhost is known", "set service");
}

#[test]
fn a_service_that_the_kdc_does_not_know_or_whose_key_is_old_is_wrong() {
    let realm = Realm::start();
    let (hub, http) = (realm.add_service("hub/keys"), realm.add_service("HTTP/localhost"));
    let patient = Patient::of(&realm).with("hub", &service(&hub, "HTTP@localhost", &http));
    realm.outdate("HTTP/localhost");
    patient.findings().only("farm-hub service", "wrong", "the key of HTTP/localhost", "HTTP/localhost@FARM.TEST'");
    administer(&realm, &["delprinc", "-force", "HTTP/localhost"]);
    patient.findings().only(
        "farm-hub service",
        "wrong",
        "the KDC knows no HTTP/localhost@FARM.TEST",
        "addprinc -randkey",
    );
}

#[test]
fn a_builder_calls_its_hub_by_a_name_that_has_a_ticket() {
    let realm = Realm::shared();
    let client = client(&realm.add_service("builder/b2"));
    let found = |hub: &str| Patient::of(&realm).with("builder", &format!("hub = {hub:?}\n{client}")).findings();
    found("https://127.0.0.1:8001/").only("farm-builder hub", "wrong", "is an address", "HTTP/hub.example.org");
    found("https://hub.nowhere.test/").only("farm-builder hub", "wrong", "knows no HTTP/hub.nowhere.test", "addprinc");
}
