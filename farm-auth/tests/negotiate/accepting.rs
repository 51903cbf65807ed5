//! The server's side.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use farm_testing::Realm;

use crate::side::{Side, person, refused, server, server_with, token, token_of, with};

#[test]
fn who_comes_with_a_ticket_is_known_and_knows_the_server() {
    let realm = Realm::shared();
    let mut server = server(&realm);
    let mut client = Side::start(&["initiate", "localhost"], &person(&realm, "alice"));
    let answer = server.ask(&token_of(&mut client));
    let parts: Vec<_> = answer.split(' ').collect();
    assert_eq!(parts[..2], ["accepted", "alice@FARM.TEST"], "{answer}");
    // Its rest, and the five minutes by which clocks may differ.
    let seconds: u64 = parts[2].parse().unwrap();
    assert!((3600..=3900).contains(&seconds), "{answer}");
    assert_eq!(client.ask(parts[3]), "proven");
}

#[test]
fn a_token_is_taken_once() {
    let realm = Realm::shared();
    let mut server = server(&realm);
    let token = token(&person(&realm, "alice"));
    assert!(server.ask(&token).starts_with("accepted alice@FARM.TEST "));
    refused(&server.ask(&token), "Replay", "used before");
    // Nor by another server of the same name, if it runs as the same user on the same host.
    refused(&crate::side::server(&realm).ask(&token), "Replay", "used before");
}

#[test]
fn a_server_does_not_start_without_its_memory_of_tokens() {
    let realm = Realm::shared();
    let keytab = Realm::keytab(&realm.add_service("HTTP/localhost"));
    let off = with(&realm, &[keytab.clone(), ("KRB5RCACHENAME".to_owned(), "none:".to_owned())]);
    refused(&Side::start(&["accept", "-"], &off).says(), "ReplayCache", "KRB5RCACHENAME=none:");
    let missing = with(&realm, &[keytab, ("KRB5RCACHEDIR".to_owned(), "/nonexistent".to_owned())]);
    let answer = server_with(&missing).ask(&token(&person(&realm, "alice")));
    refused(&answer, "ReplayCache", "/nonexistent/");
}

#[test]
fn a_new_key_is_seen_without_a_restart_and_old_tickets_stay_good() {
    let realm = Realm::start();
    let mut server = server(&realm);
    let old = person(&realm, "alice");
    // The ticket for the server, not only the one for the KDC.
    assert!(server.ask(&token(&old)).starts_with("accepted"));
    realm.rotate("HTTP/localhost");
    let new = person(&realm, "alice");
    for ticket in [&new, &old, &new] {
        let answer = server.ask(&token(ticket));
        assert!(answer.starts_with("accepted alice@FARM.TEST "), "{answer}");
    }
}

#[test]
fn a_key_that_is_missing_in_the_keytab_is_named() {
    let realm = Realm::start();
    let mut server = server(&realm);
    realm.outdate("HTTP/localhost");
    refused(&server.ask(&token(&person(&realm, "alice"))), "WrongKeyVersion", "HTTP/localhost@FARM.TEST kvno 3");
}

#[test]
fn a_ticket_for_another_service_is_refused() {
    let realm = Realm::shared();
    let other = realm.add_service("HTTP/other");
    let mut server = Side::start(&["accept", "-"], &with(&realm, &[Realm::keytab(&other)]));
    assert_eq!(server.says(), "ready");
    realm.add_service("HTTP/localhost");
    refused(&server.ask(&token(&person(&realm, "alice"))), "NoKey", "HTTP/localhost@FARM.TEST not found in keytab");
}

#[test]
fn a_ticket_of_another_realm_is_refused() {
    let (realm, other) = (Realm::shared(), Realm::named("OTHER.TEST"));
    other.add_service("HTTP/localhost");
    let answer = server(&realm).ask(&token(&person(&other, "alice")));
    refused(&answer, "NoKey", "HTTP/localhost@OTHER.TEST not found in keytab");
}

#[test]
fn a_client_whose_clock_is_wrong_is_told_so() {
    let realm = Realm::shared();
    let mut server = server(&realm);
    let alice = person(&realm, "alice");
    // With the ticket for the server in hand, or the KDC would be the first to notice.
    assert!(server.ask(&token(&alice)).starts_with("accepted"));
    let token = token_of(&mut Side::start_at("+10m", &["initiate", "localhost"], &alice));
    refused(&server.ask(&token), "ClockSkew", "by NTP (Clock skew too great)");
}

#[test]
fn a_server_without_keys_does_not_start_and_says_what_is_missing() {
    let realm = Realm::shared();
    for service in ["-", "HTTP@localhost"] {
        let mut server = Side::start(&["accept", service], &realm.env());
        refused(&server.says(), "NoKeytab", "let KRB5_KTNAME name one");
    }
    let other = with(&realm, &[Realm::keytab(&realm.add_service("HTTP/other"))]);
    refused(&Side::start(&["accept", "HTTP@localhost"], &other).says(), "NoKey", "klist -k");
}

#[test]
fn what_is_no_ticket_is_refused() {
    let mut server = server(&Realm::shared());
    refused(&server.ask(&STANDARD.encode([0; 3])), "Malformed", "is none");
    refused(&server.ask(&STANDARD.encode(b"NTLMSSP\0\x01\0\0\0")), "NotKerberos", "NTLM");
    // SPNEGO that names Kerberos and brings no ticket.
    refused(&server.ask("YBsGBisGAQUFAqARMA+gDTALBgkqhkiG9xIBAgI="), "SecondRound", "more than one round");
}

#[test]
fn many_log_in_at_once_with_one_acceptor() {
    let realm = Realm::shared();
    let keytab = realm.add_service("HTTP/localhost");
    let both = [person(&realm, "alice"), vec![Realm::keytab(&keytab)]].concat();
    assert_eq!(Side::start(&["crowd", "localhost", "8", "100"], &both).says(), "all 800");
}
