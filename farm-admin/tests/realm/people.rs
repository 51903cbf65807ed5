//! What people are told who cannot log in.

use std::time::Duration;

use farm_testing::{Realm, Spec};

use crate::site::{Site, localhost, not_allowed, printed};

fn submit(package: &str) -> [String; 2] {
    [Spec::named(package).srpm().display().to_string(), "--no-wait".to_owned()]
}

#[test]
fn a_person_with_a_ticket_types_nothing_and_is_known() {
    let site = Site::new();
    let web = site.web();
    let who = printed(&site.tool("farm", &site.person("alice"), &localhost(&web, "/"), &["whoami"]));
    assert!(who.contains("alice@FARM.TEST (known by: ticket)"), "{who}");
}

#[test]
fn whoever_has_no_ticket_is_told_to_get_one() {
    let site = Site::new();
    let web = site.web();
    let server = localhost(&web, "/");
    let [package, no_wait] = submit("ticketless");
    let output = site.tool("farm-submit", &site.realm.env(), &server, &[&package, &no_wait]);
    not_allowed(&output, "there is no Kerberos ticket: run kinit");
    // What is public is shown all the same.
    printed(&site.tool("farm", &site.realm.env(), &server, &["list"]));
}

#[test]
fn an_expired_ticket_is_told_from_none() {
    let site = Site::new();
    let web = site.web();
    site.realm.add_person("alice");
    let env = site.with(Realm::ticket(&site.realm.kinit_for("alice", Duration::from_secs(600))));
    let [package, no_wait] = submit("late");
    let late = ["faketime", "-f", "+1h"];
    let output = site.tool_as(&late, "farm-submit", &env, &localhost(&web, "/"), &[&package, &no_wait]);
    not_allowed(&output, "the Kerberos ticket has expired: run kinit");
}

#[test]
fn a_wrong_clock_is_told_whether_the_kdc_sees_it_or_the_server() {
    let site = Site::new();
    let web = site.web();
    let (alice, server) = (site.person("alice"), localhost(&web, "/"));
    let [package, no_wait] = submit("skewed");
    let ahead = ["faketime", "-f", "+10m"];
    let ask = || site.tool_as(&ahead, "farm-submit", &alice, &server, &[&package, &no_wait]);
    not_allowed(&ask(), "set them by NTP");
    // With a ticket for the server the KDC is not asked any more.
    printed(&site.tool("farm", &alice, &server, &["whoami"]));
    not_allowed(&ask(), "your clock and the server's differ by more than Kerberos allows: set yours by NTP");
    web.wait_for_log("a ticket was refused");
}

#[test]
fn a_ticket_of_another_realm_leads_nowhere() {
    let site = Site::new();
    let web = site.web();
    let other = Realm::named("OTHER.TEST");
    other.add_person("alice");
    let ticket = Realm::ticket(&other.kinit("alice"));
    let env = [other.env_knowing(&site.realm), vec![ticket]].concat();
    let [package, no_wait] = submit("foreign");
    let output = site.tool("farm-submit", &env, &localhost(&web, "/"), &[&package, &no_wait]);
    not_allowed(&output, "the server is in another realm than the ticket");
}

#[test]
fn a_server_by_its_address_is_not_the_one_of_the_principal() {
    let site = Site::new();
    let web = site.web();
    let [package, no_wait] = submit("numbered");
    let output = site.tool("farm-submit", &site.person("alice"), &web.url("/"), &[&package, &no_wait]);
    not_allowed(&output, "the URL has to have the full host name");
}
