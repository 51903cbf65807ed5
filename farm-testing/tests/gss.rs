//! PostgreSQL, entered with a Kerberos ticket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    process::{Command, Output},
    sync::{Arc, LazyLock},
};

use diesel::{Connection as _, PgConnection};
use farm_postgres::Shutdown;
use farm_testing::{Cluster, Realm};

static FARM: LazyLock<Arc<Cluster>> = LazyLock::new(cluster);

fn cluster() -> Arc<Cluster> {
    let map = [(r"/^hub/[a-z0-9-]+@FARM\.TEST$", "farm_hub"), ("web/host1@FARM.TEST", "farm_web")];
    Cluster::with_realm(&Realm::shared(), &map)
}

/// psql, as the owner of a keytab.
fn psql(realm: &Realm, principal: &str, conninfo: &str) -> Output {
    let keytab = Realm::client_keytab(&realm.add_service(principal));
    let cache = ("KRB5CCNAME".to_owned(), "MEMORY:psql".to_owned());
    let mut command = Command::new("psql");
    command.args(["-XAt", "-c", "SELECT current_user, principal FROM pg_stat_gssapi WHERE pid = pg_backend_pid()"]);
    command.arg("-d").arg(conninfo).envs(realm.env()).envs([keytab, cache]).output().unwrap()
}

#[track_caller]
fn says(output: &Output, expected: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.trim() == expected || err.contains(expected), "{out}\n{err}");
}

#[test]
fn who_has_a_ticket_gets_in_as_the_role_it_maps_to_and_as_no_other() {
    let realm = Realm::shared();
    let db = FARM.database();
    says(&psql(&realm, "hub/host-1", &db.gss_conninfo("farm_hub")), "farm_hub|hub/host-1@FARM.TEST");
    says(&psql(&realm, "web/host1", &db.gss_conninfo("farm_web")), "farm_web|web/host1@FARM.TEST");
    for (principal, role) in
        [("hub/host-1", "farm_web"), ("web/host2", "farm_web"), ("web/host1", "postgres"), ("hub/host-1", "postgres")]
    {
        let refused = psql(&realm, principal, &db.gss_conninfo(role));
        says(&refused, &format!("GSSAPI authentication failed for user \"{role}\""));
    }
}

#[test]
fn a_ticket_of_another_realm_does_not_get_in() {
    let (realm, other) = (Realm::shared(), Realm::named("OTHER.TEST"));
    other.add_service("postgres/localhost");
    let db = FARM.database();
    says(&psql(&realm, "hub/host1", &db.gss_conninfo("farm_hub")), "farm_hub|hub/host1@FARM.TEST");
    assert!(!psql(&other, "hub/host1", &db.gss_conninfo("farm_hub")).status.success());
}

#[test]
fn without_a_ticket_nobody_gets_in_by_tcp_whoever_he_wants_to_be() {
    let realm = Realm::shared();
    let db = FARM.database();
    for role in ["postgres", "farm_hub"] {
        let mut command = Command::new("psql");
        let output = command.args(["-XAt", "-c", "SELECT 1", "-d", &db.gss_conninfo(role)]).envs(realm.env()).output();
        says(&output.unwrap(), "No Kerberos credentials available");
    }
}

#[test]
fn the_socket_and_the_restart_of_such_a_server_are_as_usual() {
    let (realm, cluster) = (Realm::shared(), cluster());
    let db = cluster.database();
    let before = db.gss_conninfo("farm_hub");
    cluster.restart(Shutdown::Orderly);
    db.connect_as("farm_hub");
    says(&psql(&realm, "hub/host1", &before), "farm_hub|hub/host1@FARM.TEST");
}

#[test]
fn the_libpq_that_tests_are_linked_with_can_kerberos() {
    // It says so before it looks for the host. A bundled libpq would say that it cannot.
    let conninfo = "host=nonexistent.invalid hostaddr=127.0.0.1 port=1 gssencmode=require";
    let error = PgConnection::establish(conninfo).err().unwrap().to_string();
    assert!(!error.contains("not compiled in"), "{error}");
    assert!(error.contains("127.0.0.1") || error.contains("GSSAPI"), "{error}");
}
