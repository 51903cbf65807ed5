//! What comes over the wire at the two servers that take tickets.

use farm_db::{operator, operator::NewBuilder, testing};
use farm_testing::Realm;

use crate::{
    curl::{BY_TICKET, curl, overheard, with_header},
    site::{Env, Site, localhost},
};

#[test]
fn curl_logs_in_by_ticket_and_gets_the_proof_of_the_server() {
    let site = Site::new();
    let web = site.web();
    let alice = site.person("alice");
    let ask = |path: &str| curl(&alice, &[&BY_TICKET[..], &[&localhost(&web, path)]].concat());
    let answer = ask("/api/v1/whoami");
    assert_eq!((answer.status, answer.rounds), (200, 1), "{answer:?}");
    let me = answer.json();
    assert_eq!((&me["principal"], &me["way"]), (&"alice@FARM.TEST".into(), &"ticket".into()));
    assert!(answer.header("www-authenticate").starts_with("Negotiate o"), "no proof: {answer:?}");
    let answer = ask("/login?next=/jobs");
    assert_eq!((answer.status, answer.header("location")), (303, "/jobs"), "{answer:?}");
    assert!(answer.header("www-authenticate").starts_with("Negotiate o"), "no proof: {answer:?}");
    let cookie = answer.header("set-cookie");
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    // Who comes without is asked, and what is public needs nobody.
    let asked = curl(&Env::new(), &[&localhost(&web, "/api/v1/whoami")]);
    assert_eq!((asked.status, asked.header("www-authenticate")), (401, "Negotiate"));
    assert_eq!(curl(&Env::new(), &[&localhost(&web, "/api/v1/jobs")]).status, 200);
}

#[test]
fn a_login_that_was_overheard_is_good_once() {
    let site = Site::new();
    let web = site.web();
    let header = overheard(&site.person("alice"));
    let url = localhost(&web, "/api/v1/whoami");
    assert_eq!(with_header(&header, &url).status, 200);
    let again = with_header(&header, &url);
    assert_eq!(again.status, 401, "{again:?}");
    assert!(again.body.contains("this login was used before"), "{again:?}");
    assert_eq!(again.header("www-authenticate"), "Negotiate", "a refusal has no proof in it");
    // Nor at the other server with the same key.
    let hub = site.daemon("hub").start();
    let url = localhost(&hub, "/hub/v1/token");
    let elsewhere = curl(&Env::new(), &["--request", "POST", "--header", &header, &url]);
    assert_eq!(elsewhere.status, 401, "{elsewhere:?}");
}

#[test]
fn what_is_no_ticket_for_this_server_is_refused_by_both() {
    let site = Site::new();
    let (web, hub) = (site.web(), site.daemon("hub").start());
    let other = Realm::named("OTHER.TEST");
    other.add_service("HTTP/localhost");
    other.add_person("alice");
    let foreign = overheard(&[other.env(), vec![Realm::ticket(&other.kinit("alice"))]].concat());
    let ntlm = "Authorization: Negotiate TlRMTVNTUAABAAAAB4IIAAAAAAAAAAAAAAAAAAAAAAA=";
    for header in
        [&foreign, ntlm, "Authorization: Negotiate AAAA", "Authorization: Negotiate", "Authorization: Negotiate %%%"]
    {
        for url in [localhost(&web, "/api/v1/token"), localhost(&hub, "/hub/v1/token")] {
            let answer = curl(&Env::new(), &["--request", "POST", "--header", header, &url]);
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Negotiate"), "{header}: {answer:?}");
            assert_eq!(answer.json()["code"], "unauthenticated", "{header}: {answer:?}");
        }
    }
    assert!(site.audit().iter().all(|entry| entry.action != "log in"));
}

#[test]
fn a_builder_is_let_in_where_it_is_registered_and_nowhere_else() {
    let site = Site::new();
    let (web, hub) = (site.web(), site.daemon("hub").start());
    let url = localhost(&hub, "/hub/v1/token");
    let builder = site.with(Realm::client_keytab(&site.realm.add_service("builder/new")));
    let builder: Env = [builder, vec![("KRB5CCNAME".to_owned(), "MEMORY:curl".to_owned())]].concat();
    let ask = |url: &str| curl(&builder, &[&BY_TICKET[..], &["--request", "POST", url]].concat());
    let refused = ask(&url);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("farm-admin builder add NAME --principal builder/new@FARM.TEST"), "{refused:?}");
    let new = NewBuilder { principal: Some("builder/new@FARM.TEST"), ..NewBuilder::default() };
    operator::put_builder(&mut site.db.connect(), &testing::operator(), &"new".parse().unwrap(), &new).unwrap();
    let answer = ask(&url);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["principal"], "builder/new@FARM.TEST");
    assert!(answer.header("www-authenticate").starts_with("Negotiate o"), "no proof: {answer:?}");
    // Its ticket is none of a person, and its token neither.
    let refused = ask(&localhost(&web, "/api/v1/token"));
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("builders speak to the hub alone"), "{refused:?}");
    let token = format!("Authorization: Bearer {}", answer.json()["token"].as_str().unwrap());
    assert_eq!(with_header(&token, &localhost(&web, "/api/v1/whoami")).status, 401);
    // And a person is none of the hub's.
    let alice = site.person("alice");
    let refused = curl(&alice, &[&BY_TICKET[..], &["--request", "POST", &url]].concat());
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("no builder is registered under alice@FARM.TEST"), "{refused:?}");
}
