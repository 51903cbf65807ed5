//! The client's side.

use std::time::Duration;

use farm_testing::{DEADLINE, Realm, eventually_blocking};

use crate::side::{Env, Side, person, refused, server, token, token_of, with};

/// What a client says that gets no token.
fn setback(host: &str, env: &Env) -> String {
    Side::start(&["initiate", host], env).says()
}

#[test]
fn without_a_ticket_kinit_is_what_to_do() {
    refused(&setback("localhost", &Realm::shared().env()), "NoTicket", "run kinit");
}

#[test]
fn an_expired_ticket_is_told_from_none() {
    let realm = Realm::shared();
    realm.add_service("HTTP/localhost");
    realm.add_person("alice");
    let env = with(&realm, &[Realm::ticket(&realm.kinit_for("alice", Duration::from_secs(600)))]);
    let mut later = Side::start_at("+1h", &["initiate", "localhost"], &env);
    refused(&later.says(), "Expired", "has expired: run kinit");
}

#[test]
fn a_ticket_that_expires_during_the_login_is_not_taken_for_a_false_server() {
    let realm = Realm::shared();
    let mut server = server(&realm);
    realm.add_person("alice");
    let env = with(&realm, &[Realm::ticket(&realm.kinit_for("alice", Duration::from_secs(2)))]);
    let mut client = Side::start(&["initiate", "localhost"], &env);
    let reply = server.ask(&token_of(&mut client)).split(' ').next_back().unwrap().to_owned();
    let is_over = || setback("localhost", &env).starts_with("refused Expired").then_some(());
    eventually_blocking("the end of the ticket", DEADLINE, is_over);
    refused(&client.ask(&reply), "Expired", "has expired: run kinit");
}

#[test]
fn a_daemon_gets_a_ticket_and_the_next_one_by_itself() {
    let realm = Realm::start();
    let mut server = server(&realm);
    let keytab = realm.add_service("builder/host1");
    // One that has expired lies there, as after a long stop.
    let cache = realm.kinit_for("builder/host1", Duration::from_secs(1));
    // The KDC answers first and writes its log then.
    eventually_blocking("the first login", DEADLINE, || (realm.logins() == 1).then_some(()));
    let env = with(&realm, &[Realm::client_keytab(&keytab), Realm::ticket(&cache)]);
    let later = token_of(&mut Side::start_at("+2m", &["initiate", "localhost"], &env));
    assert!(server.ask(&later).starts_with("accepted builder/host1@FARM.TEST "));
    eventually_blocking("the login by keytab", DEADLINE, || (realm.logins() == 2).then_some(()));
}

#[test]
fn a_server_that_the_kdc_does_not_know_is_named() {
    let realm = Realm::shared();
    let alice = person(&realm, "alice");
    refused(&setback("nowhere.farm.test", &alice), "UnknownService", "the KDC knows no HTTP@nowhere.farm.test:");
    refused(&setback("127.0.0.1", &alice), "UnknownService", "not an address");
}

#[test]
fn a_wrong_clock_is_told_by_the_kdc() {
    let realm = Realm::shared();
    realm.add_service("HTTP/localhost");
    let mut client = Side::start_at("+10m", &["initiate", "localhost"], &person(&realm, "alice"));
    refused(&client.says(), "ClockSkew", "by NTP (Clock skew too great)");
}

#[test]
fn a_realm_without_trust_is_told_from_an_unknown_server() {
    let (realm, other) = (Realm::shared(), Realm::named("OTHER.TEST"));
    other.add_person("alice");
    let env = [other.env_knowing(&realm), vec![Realm::ticket(&other.kinit("alice"))]].concat();
    refused(&setback("localhost", &env), "WrongRealm", "krbtgt/FARM.TEST@OTHER.TEST");
}

#[test]
fn a_kdc_that_is_away_is_told() {
    let realm = Realm::start();
    realm.add_service("HTTP/localhost");
    let alice = person(&realm, "alice");
    realm.stop();
    refused(&setback("localhost", &alice), "KdcUnreachable", "no KDC answers");
}

#[test]
fn a_disabled_daemon_and_one_with_an_old_key_are_told_apart() {
    let realm = Realm::start();
    realm.add_service("HTTP/localhost");
    let env = |name: &str| with(&realm, &[Realm::client_keytab(&realm.add_service(name))]);
    let (disabled, outdated) = (env("builder/host1"), env("builder/host2"));
    realm.disable("builder/host1");
    realm.outdate("builder/host2");
    refused(&setback("localhost", &disabled), "Disabled", "no tickets: it is disabled");
    refused(&setback("localhost", &outdated), "WrongClientKey", "make the keytab anew");
}

#[test]
fn a_server_that_does_not_prove_itself_is_not_trusted() {
    let realm = Realm::shared();
    let mut server = server(&realm);
    let alice = person(&realm, "alice");
    let reply = server.ask(&token(&alice)).split(' ').next_back().unwrap().to_owned();
    // None, one that was overheard, and noise.
    for reply in ["", &reply, "AAAA"] {
        let mut client = Side::start(&["initiate", "localhost"], &alice);
        token_of(&mut client);
        refused(&client.ask(reply), "ServerNotProven", "did not prove that it is HTTP@localhost");
    }
}
