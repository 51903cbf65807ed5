//! Persons that are shut out.

use std::time::Duration;

use farm_testing::{DEADLINE, Process, Realm, eventually_blocking};

use crate::{
    curl::{Answer, BY_TICKET, curl},
    site::{Env, Site, localhost, not_allowed, printed},
};

/// Asks with a ticket.
fn by_ticket(env: &Env, args: &[&str], web: &Process, path: &str) -> Answer {
    let url = localhost(web, path);
    curl(env, &[&BY_TICKET[..], args, &[&url]].concat())
}

/// The header with a token that somebody got for a ticket.
fn login(env: &Env, web: &Process) -> String {
    let answer = by_ticket(env, &["--request", "POST"], web, "/api/v1/token");
    assert_eq!(answer.status, 200, "{answer:?}");
    format!("Authorization: Bearer {}", answer.json()["token"].as_str().unwrap())
}

/// The header with the session of somebody's browser.
fn session(env: &Env, web: &Process) -> String {
    let answer = by_ticket(env, &[], web, "/login");
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie").split(';').next().unwrap();
    assert!(cookie.starts_with("__Host-farm_session=farm_"), "{cookie}");
    format!("Cookie: {cookie}")
}

fn whoami(header: &str, web: &Process) -> Answer {
    curl(&Env::new(), &["--header", header, &localhost(web, "/api/v1/whoami")])
}

#[test]
fn a_person_whom_an_operator_shuts_out_is_out_at_once_with_ticket_token_and_session() {
    let site = Site::new();
    let web = site.web();
    let alice = site.person("alice");
    let (token, session) = (login(&alice, &web), session(&alice, &web));
    for header in [&token, &session] {
        let answer = whoami(header, &web);
        assert_eq!(answer.json()["principal"], "alice@FARM.TEST", "{answer:?}");
    }
    site.let_in("alice@FARM.TEST", false);
    for header in [&token, &session] {
        // The word has to get from the database to farm-web.
        eventually_blocking("the end", DEADLINE, || (whoami(header, &web).status == 401).then_some(()));
    }
    let refused = by_ticket(&alice, &[], &web, "/api/v1/whoami");
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("alice@FARM.TEST was shut out by an administrator"), "{refused:?}");
    not_allowed(&site.tool("farm", &alice, &localhost(&web, "/"), &["whoami"]), "was shut out by an administrator");
    site.let_in("alice@FARM.TEST", true);
    assert_eq!(by_ticket(&alice, &[], &web, "/api/v1/whoami").status, 200);
}

#[test]
fn a_person_whom_the_kdc_disabled_is_out_when_ticket_and_token_are_old() {
    let site = Site::new();
    let web = site.daemon("web").line("login_seconds = 2").start();
    site.realm.add_person("carol");
    let carol = site.with(Realm::ticket(&site.realm.kinit_for("carol", Duration::from_secs(5))));
    let server = localhost(&web, "/");
    let who = printed(&site.tool("farm", &carol, &server, &["whoami"]));
    assert!(who.contains("carol@FARM.TEST (known by: ticket)"), "{who}");
    let token = login(&carol, &web);
    assert_eq!(whoami(&token, &web).status, 200);
    site.realm.disable("carol");
    let refused = eventually_blocking("the end of the token", DEADLINE, || {
        Some(whoami(&token, &web)).filter(|answer| answer.status == 401)
    });
    assert!(refused.body.contains("not good any more"), "{refused:?}");
    let refused = eventually_blocking("the end of the ticket", DEADLINE, || {
        Some(site.tool("farm", &carol, &server, &["whoami"])).filter(|output| !output.status.success())
    });
    not_allowed(&refused, "the Kerberos ticket has expired: run kinit");
}

#[test]
fn a_token_does_not_outlive_its_ticket() {
    let site = Site::new();
    let web = site.daemon("web").line("login_seconds = 86400").start();
    let alice = site.person("alice");
    let answer = by_ticket(&alice, &["--request", "POST"], &web, "/api/v1/token");
    let expires: jiff::Timestamp = answer.json()["expires"].as_str().unwrap().parse().unwrap();
    let left = expires.duration_since(jiff::Timestamp::now());
    // The ticket is for an hour; the library adds the five minutes by which clocks may differ.
    assert!(left.as_mins() > 55 && left.as_mins() <= 65, "{left:?}");
}
