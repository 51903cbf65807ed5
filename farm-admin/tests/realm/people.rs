//! What people are told who cannot log in.

use std::time::Duration;

use farm_testing::{Realm, Spec};

use crate::{
    curl::{BY_TICKET, curl},
    site::{Env, Site, localhost, not_allowed, printed},
};

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

#[test]
fn a_repository_that_is_not_public_may_be_asked_for_with_a_password_and_with_a_ticket() {
    let site = Site::new();
    let web = site.daemon("web").line(&format!("repositories = \"{}\"", site.dir.path().display())).start();
    site.execute("INSERT INTO farm.bucket (name, description, public) VALUES ('private', '', false)");
    let url = localhost(&web, "/repositories/private/f13-x86_64/repodata/repomd.xml");
    let asked = curl(&Env::new(), &[&url]);
    assert_eq!(asked.status, 401, "{asked:?}");
    let ways = asked.headers("www-authenticate");
    assert!(ways.len() == 2 && ways[0].starts_with("Basic ") && ways[1] == "Negotiate", "{ways:?}");
    // Known now, though without the right: nothing to be seen, and nothing more to be asked.
    let known = curl(&site.person("alice"), &[&BY_TICKET[..], &[&url]].concat());
    assert_eq!(known.status, 404, "{known:?}");
}

#[test]
fn a_picture_on_another_site_begins_no_session() {
    let site = Site::new();
    let web = site.web();
    let alice = site.person("alice");
    let login = |mode: &str| {
        let mode = format!("Sec-Fetch-Mode: {mode}");
        let headers = ["--header", "Sec-Fetch-Site: cross-site", "--header", &mode];
        curl(&alice, &[&BY_TICKET[..], &headers, &[&localhost(&web, "/login")]].concat())
    };
    let refused = login("no-cors");
    assert_eq!((refused.status, refused.header("set-cookie")), (403, ""), "{refused:?}");
    assert_eq!(login("navigate").status, 303);
}
