//! Keys that change under running servers.

use farm_testing::{DEADLINE, Process, eventually_blocking};

use crate::{
    curl::{BY_TICKET, curl},
    site::{Env, Site, localhost},
};

fn whoami(env: &Env, web: &Process) -> (u16, String) {
    let url = localhost(web, "/api/v1/whoami");
    let answer = curl(env, &[&BY_TICKET[..], &[&url]].concat());
    (answer.status, answer.body)
}

#[test]
fn a_new_key_of_the_web_server_is_used_beside_the_old_one_without_a_restart() {
    let site = Site::own();
    let web = site.web();
    // Her ticket for the server lies in her cache from now on.
    let before = site.person("alice");
    assert_eq!(whoami(&before, &web).0, 200);
    site.realm.rotate("HTTP/localhost");
    let after = site.person("alice");
    assert_eq!(whoami(&after, &web).0, 200, "a ticket with the new key");
    assert_eq!(whoami(&before, &web).0, 200, "a ticket with the old key");
    // Somebody forgot to install the next one.
    site.realm.outdate("HTTP/localhost");
    let (status, said) = whoami(&site.person("alice"), &web);
    assert_eq!(status, 401, "{said}");
    assert!(said.contains("for an old key of it") || said.contains("for another server"), "{said}");
    let line = web.wait_for_log("a ticket was refused");
    assert!(line.contains("add the new one (kadmin: ktadd)"), "{line}");
    assert_eq!(whoami(&before, &web).0, 200, "a ticket with the old key, still");
}

#[test]
fn a_new_key_of_the_database_is_used_beside_the_old_one_without_a_restart() {
    let site = Site::own();
    let web = site.daemon("web").line("connection_max_age_seconds = 1").start();
    let before = site.connections("farm_web");
    let keytab = site.realm.add_service("postgres/localhost");
    site.realm.rotate("postgres/localhost");
    // Into the file that there is, which the server can read; the old key is in it too.
    fs_err::write(site.db.cluster().dir().join("postgres.keytab"), fs_err::read(&keytab).unwrap()).unwrap();
    // The hub gets its first ticket with the new key, farm-web has one with the old.
    let hub = site.daemon("hub").start();
    hub.wait_for_log("hub/host1@FARM.TEST");
    eventually_blocking("a connection made with the old ticket", DEADLINE, || {
        let newer = |since: &String| before.iter().all(|(_, old)| since > old);
        site.connections("farm_web").iter().any(|(_, since)| newer(since)).then_some(())
    });
    assert_eq!(site.realm.logins_of("web/host1"), 1, "farm-web had to get another ticket");
    assert_eq!(curl(&Env::new(), &[&localhost(&web, "/readyz")]).status, 200);
}
