//! Mistakes on the way into PostgreSQL, made for real.

use std::sync::{Arc, LazyLock};

use farm_testing::{Cluster, Realm};

use crate::support::{Findings, Patient};

/// `web/many` may be two.
static FARM: LazyLock<Arc<Cluster>> = LazyLock::new(|| {
    let map = [(r"/^web/[a-z0-9-]+@FARM\.TEST$", "farm_web"), ("web/many@FARM.TEST", "farm_hub")];
    Cluster::with_realm(&Realm::shared(), &map)
});

/// What is found of a farm-web that comes as this principal with this conninfo.
fn found(daemon: &str, principal: &str, conninfo: &str) -> Findings {
    let realm = Realm::shared();
    let keytab = realm.add_service(principal);
    let config = format!("database = {conninfo:?}\n[kerberos]\nclient_keytab = {keytab:?}\n");
    Patient::of(&realm).with(daemon, &config).findings()
}

#[test]
fn a_daemon_that_is_let_in_as_itself_is_well() {
    let db = FARM.database();
    let findings = found("web", "web/host1", &db.gss_conninfo("farm_web"));
    findings.well(&["krb5.conf", "farm-web keytab", "kdc FARM.TEST", "farm-web database"]);
    findings.has("farm-web database", "ok", "web/host1@FARM.TEST is farm_web", "");
}

#[test]
fn a_server_named_by_its_address_or_reached_by_its_socket_is_wrong() {
    let db = FARM.database();
    let by_name = db.gss_conninfo("farm_web");
    let by_address = by_name.replace("host=localhost hostaddr", "host");
    found("web", "web/host1", &by_address).only(
        "farm-web database",
        "wrong",
        "by its address 127.0.0.1",
        "hostaddr=127.0.0.1",
    );
    found("web", "web/host1", &db.url_as("farm_web")).only("farm-web database", "wrong", "unix socket", "host=NAME");
    let another = by_name.replace("host=localhost", "host=db.farm.test");
    found("web", "web/host1", &another).only(
        "farm-web database",
        "wrong",
        "knows no postgres/db.farm.test",
        "addprinc -randkey",
    );
}

#[test]
fn a_principal_that_maps_to_no_role_gets_the_line_that_lacks() {
    let db = FARM.database();
    let findings = found("validator", "validator/host1", &db.gss_conninfo("farm_validator"));
    let line = r"farm /^validator/[a-z0-9.-]+@FARM\.TEST$ farm_validator";
    findings.only("farm-validator database", "wrong", "GSSAPI authentication failed", line);
}

#[test]
fn a_daemon_that_comes_as_another_role_is_wrong() {
    let db = FARM.database();
    let findings = found("web", "web/many", &db.gss_conninfo("farm_hub"));
    findings.only("farm-web database", "wrong", "comes to the database as farm_hub", "user=farm_web");
}

#[test]
fn a_server_that_is_down_and_a_database_without_a_farm_are_said_to_be_that() {
    let db = FARM.database();
    let conninfo = db.gss_conninfo("farm_web");
    let port = conninfo.split_whitespace().find(|word| word.starts_with("port=")).unwrap();
    let down = conninfo.replace(port, "port=1");
    found("web", "web/host1", &down).only(
        "farm-web database",
        "wrong",
        "Connection refused",
        "systemctl status postgresql",
    );
    let empty = FARM.empty_database();
    found("web", "web/host1", &empty.gss_conninfo("farm_web")).only(
        "farm-web database",
        "wrong",
        "no farm's database",
        "farm-admin migrate",
    );
}

#[test]
fn a_server_whose_own_key_is_old_is_suspected() {
    let realm = Realm::start();
    let cluster = Cluster::with_realm(&realm, &[("web/host1@FARM.TEST", "farm_web")]);
    let db = cluster.database();
    let config = format!(
        "database = {:?}\n[kerberos]\nclient_keytab = {:?}\n",
        db.gss_conninfo("farm_web"),
        realm.add_service("web/host1")
    );
    let patient = Patient::of(&realm).with("web", &config);
    patient.findings().well(&["krb5.conf", "farm-web keytab", "kdc FARM.TEST", "farm-web database"]);
    realm.outdate("postgres/localhost");
    patient.findings().only("farm-web database", "wrong", "GSS", "krb_server_keyfile");
}
