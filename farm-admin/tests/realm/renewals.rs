//! Tickets that run out while a process runs, processes that are shut out, and a KDC that is away.

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
fn a_process_that_only_the_kdc_disabled_is_out_within_the_age_of_connections_although_its_ticket_is_good_for_an_hour() {
    let site = Site::new();
    let young = "connection_max_age_seconds = 5";
    let web = site.daemon("web").principal("web/disabled").line(young).start();
    let validator = site.daemon("validator").principal("validator/disabled").line(young);
    let socket = validator.socket();
    let validator = validator.start();
    let answers = || [curl(&Env::new(), &[&localhost(&web, "/readyz")]), ready(&socket)];
    assert_eq!(answers().map(|answer| answer.status), [200, 200]);
    for principal in ["web/disabled", "validator/disabled"] {
        site.realm.disable(principal);
    }
    for process in [&web, &validator] {
        let line = process.wait_for_log("the KDC gives no tickets to this process any more");
        assert!(line.contains("ERROR") && line.contains("Client's credentials have been revoked"), "{line}");
    }
    let out = eventually_blocking("the end of both", DEADLINE, || {
        Some(answers()).filter(|answers| answers.iter().all(|answer| answer.status == 503))
    });
    for answer in out {
        assert!(answer.body.contains("revoked"), "the reason is not told: {answer:?}");
    }
    eventually_blocking("the last connection", DEADLINE, || {
        ["farm_web", "farm_validator"].iter().all(|role| site.connections(role).is_empty()).then_some(())
    });
    // Let in again, it comes back by itself.
    site.realm.enable("web/disabled");
    web.wait_for_log("the KDC gives tickets to this process again");
    eventually_blocking("its return", DEADLINE, || (answers()[0].status == 200).then_some(()));
}

#[test]
fn a_process_goes_on_with_the_tickets_it_has_when_the_kdc_cannot_be_reached() {
    let site = Site::own();
    let web = site.daemon("web").line("connection_max_age_seconds = 5").start();
    let logins = site.realm.logins_of("web/host1");
    // From here on it lives on tickets that it got beside the old ones.
    eventually_blocking("newer tickets", DEADLINE, || (site.realm.logins_of("web/host1") > logins + 1).then_some(()));
    site.realm.stop();
    web.wait_for_log("this process goes on with those that it has until they end");
    let old = site.connections("farm_web");
    let ready = || curl(&Env::new(), &[&localhost(&web, "/readyz")]).status;
    eventually_blocking("a connection that was made without a KDC", DEADLINE, || {
        assert_eq!(ready(), 200);
        let now = site.connections("farm_web");
        now.iter().any(|(_, since)| old.iter().all(|(_, before)| since > before)).then_some(())
    });
    assert!(!web.log().contains("the KDC gives no tickets"), "{}", web.log());
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
