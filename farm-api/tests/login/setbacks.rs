//! Logins that come to nothing.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::atomic::Ordering,
    thread,
};

use farm_api::client::{ClientError, Transport};
use farm_testing::{Realm, in_environment};

use crate::{Server, client, environment, run, with_ticket, without_ticket};

async fn setback(client: &Transport) -> ClientError {
    client.get("closed").answer::<String>().await.unwrap_err()
}

#[track_caller]
fn login_fails(error: &ClientError, sentence: &str) {
    assert!(matches!(error, ClientError::Login { passing: false, .. }), "{error:?}");
    assert!(error.to_string().contains(sentence), "{error}");
}

#[test]
fn without_a_ticket_the_user_is_told_to_get_one_and_what_is_public_stays_open() {
    without_ticket(
        "setbacks::without_a_ticket_the_user_is_told_to_get_one_and_what_is_public_stays_open",
        async || {
            let server = Server::start().await;
            let client = client(&server);
            assert_eq!(client.get("open").answer::<String>().await.unwrap(), "open");
            let error = setback(&client).await;
            login_fails(&error, &format!("cannot log in at {}: there is no Kerberos ticket: run kinit", server.url()));
        },
    );
}

#[test]
fn a_server_that_does_not_prove_itself_is_not_believed() {
    with_ticket("setbacks::a_server_that_does_not_prove_itself_is_not_believed", async || {
        let server = Server::start().await;
        server.seen.proves.store(false, Ordering::SeqCst);
        login_fails(&setback(&client(&server)).await, "did not prove that it is HTTP@localhost");
        // Its token was not used.
        assert_eq!((server.exchanges(), server.refusals()), (1, 1));
    });
}

#[test]
fn a_server_that_takes_no_tickets_says_so_itself() {
    with_ticket("setbacks::a_server_that_takes_no_tickets_says_so_itself", async || {
        let server = Server::start().await;
        server.seen.offers.store(false, Ordering::SeqCst);
        let error = setback(&client(&server)).await;
        assert!(matches!(error, ClientError::NotAllowed(_)) && error.to_string() == "say who you are", "{error:?}");
        assert_eq!(server.exchanges(), 0);
    });
}

#[test]
fn a_ticket_that_is_refused_is_told_in_the_servers_words() {
    with_ticket("setbacks::a_ticket_that_is_refused_is_told_in_the_servers_words", async || {
        let server = Server::start().await;
        server.seen.takes.store(false, Ordering::SeqCst);
        login_fails(&setback(&client(&server)).await, "it does not take the ticket: strangers are not served here");
    });
}

#[test]
fn a_kdc_that_is_away_is_a_passing_trouble() {
    let test = "setbacks::a_kdc_that_is_away_is_a_passing_trouble";
    let away = || {
        let realm = Realm::start();
        let key = Realm::keytab(&realm.add_service("HTTP/localhost"));
        realm.add_person("alice");
        let ticket = Realm::ticket(&realm.kinit("alice"));
        realm.stop();
        ([realm.env(), vec![key, ticket]].concat(), realm)
    };
    let body = async || {
        let server = Server::start().await;
        let error = client(&server).get("closed").tries(1).answer::<String>().await.unwrap_err();
        assert!(error.is_passing() && error.to_string().contains("no KDC answers"), "{error:?}");
    };
    in_environment(test, away, || run(body()));
}

#[test]
fn an_address_instead_of_a_name_is_explained() {
    with_ticket("setbacks::an_address_instead_of_a_name_is_explained", async || {
        let server = Server::start().await;
        let url = format!("http://{}/", server.address());
        let client = Transport::new(&url, "tests").unwrap().with_login("api/v1/token");
        login_fails(&setback(&client).await, "the KDC knows no HTTP@127.0.0.1: the URL has to have the full host name");
    });
}

#[test]
fn no_login_goes_over_plain_http_to_another_machine_unless_that_is_allowed() {
    let test = "setbacks::no_login_goes_over_plain_http_to_another_machine_unless_that_is_allowed";
    let body = async || {
        let far = Transport::new("http://web.farm.test/", "tests").unwrap();
        login_fails(&setback(&far.clone().with_login("api/v1/token")).await, "plain HTTP to another machine");
        let error = setback(&far.with_login_over_plain_http("api/v1/token")).await;
        login_fails(&error, "the KDC knows no HTTP@web.farm.test");
    };
    // A proxy stands in for the network: what is meant for another machine is answered here.
    let proxy = || {
        let proxy = ("http_proxy".to_owned(), ask_everybody_to_log_in());
        let all = [environment(true), vec![proxy, ("NO_PROXY".to_owned(), String::new())]].concat();
        (all, ())
    };
    in_environment(test, proxy, || run(body()));
}

/// An HTTP proxy that answers everything with a demand for Negotiate.
fn ask_everybody_to_log_in() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let head =
                BufReader::new(&connection).lines().take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()));
            head.for_each(drop);
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}
