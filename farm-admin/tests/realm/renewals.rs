//! Tickets that run out while a process runs, and processes that are shut out.

use std::time::Duration;

use farm_testing::{DEADLINE, eventually_blocking};

use crate::{
    curl::curl,
    site::{Env, Site, localhost, ready},
};

/// Shorter than any test that waits for their renewal. A realm would give hours.
const LIFE: Duration = Duration::from_secs(4);

#[test]
fn tickets_are_renewed_without_a_restart() {
    let site = Site::new();
    site.realm.add_service("web/short");
    site.realm.limit("web/short", LIFE);
    let web = site.daemon("web").principal("web/short").line("connection_max_age_seconds = 1").start();
    let first = site.connections("farm_web");
    let logins = site.realm.logins_of("web/short");
    eventually_blocking("the second login after that of the start", DEADLINE, || {
        (site.realm.logins_of("web/short") >= logins + 2).then_some(())
    });
    let newer = |since: &String| first.iter().all(|(_, old)| since > old);
    eventually_blocking("a connection with the new ticket", DEADLINE, || {
        site.connections("farm_web").iter().any(|(_, since)| newer(since)).then_some(())
    });
    let readiness = curl(&Env::new(), &[&localhost(&web, "/readyz")]);
    assert_eq!(readiness.status, 200, "{readiness:?}");
}

#[test]
fn a_process_that_the_kdc_disabled_is_out_when_ticket_and_connections_are_old() {
    let site = Site::new();
    for principal in ["web/disabled", "validator/disabled"] {
        site.realm.add_service(principal);
        site.realm.limit(principal, LIFE);
    }
    let young = "connection_max_age_seconds = 1";
    let web = site.daemon("web").principal("web/disabled").line(young).start();
    let validator = site.daemon("validator").principal("validator/disabled").line(young);
    let socket = validator.socket();
    let _validator = validator.start();
    let answers = || [curl(&Env::new(), &[&localhost(&web, "/readyz")]), ready(&socket)];
    assert_eq!(answers().map(|answer| answer.status), [200, 200]);
    site.realm.disable("web/disabled");
    site.realm.disable("validator/disabled");
    let out = eventually_blocking("the end of both", DEADLINE, || {
        Some(answers()).filter(|answers| answers.iter().all(|answer| answer.status == 503))
    });
    for answer in out {
        let is_told = ["Ticket expired", "revoked"].iter().any(|reason| answer.body.contains(reason));
        assert!(is_told, "the reason is not told: {answer:?}");
    }
    eventually_blocking("the last connection", DEADLINE, || site.connections("farm_web").is_empty().then_some(()));
}

#[test]
fn a_process_that_the_database_shuts_out_is_out_when_its_connections_are_old() {
    let site = Site::new();
    let janitor = site.daemon("janitor").line("connection_max_age_seconds = 1");
    let socket = janitor.socket();
    let _janitor = janitor.start();
    assert_eq!(ready(&socket).status, 200);
    site.execute(&format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", site.db.name()));
    let out = eventually_blocking("its end", DEADLINE, || Some(ready(&socket)).filter(|answer| answer.status == 503));
    assert!(out.body.contains("permission denied for database"), "{out:?}");
    // It comes back by itself.
    site.execute(&format!("GRANT CONNECT ON DATABASE {} TO PUBLIC", site.db.name()));
    eventually_blocking("its return", DEADLINE, || Some(ready(&socket)).filter(|answer| answer.status == 200));
}
