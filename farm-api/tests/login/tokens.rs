//! How a ticket becomes a token, and how that is kept.

use std::sync::atomic::Ordering;

use farm_api::client::{ClientError, Transport};
use reqwest::Method;

use crate::{Server, client, with_ticket};

async fn closed(client: &Transport) -> Result<String, ClientError> {
    client.get("closed").answer().await
}

async fn upload(client: &Transport) -> Result<usize, ClientError> {
    let body = futures::stream::iter([Ok("four".into())]);
    client.call(Method::PUT, "upload").stream(body, 4).answer().await
}

#[test]
fn a_ticket_is_exchanged_when_the_server_asks_and_once_for_all_calls() {
    with_ticket("tokens::a_ticket_is_exchanged_when_the_server_asks_and_once_for_all_calls", async || {
        let server = Server::start().await;
        let client = client(&server);
        assert_eq!(client.get("open").answer::<String>().await.unwrap(), "open");
        assert_eq!(server.exchanges(), 0);
        let calls = (0..20).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { closed(&client).await })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap().unwrap(), "closed");
        }
        assert_eq!(client.post("closed").answer::<String>().await.unwrap(), "closed");
        assert_eq!(server.exchanges(), 1);
    });
}

#[test]
fn a_token_that_is_not_good_any_more_is_replaced_in_the_midst_of_a_call() {
    with_ticket("tokens::a_token_that_is_not_good_any_more_is_replaced_in_the_midst_of_a_call", async || {
        let server = Server::start().await;
        let client = client(&server);
        for exchanges in 1..4 {
            assert_eq!(closed(&client).await.unwrap(), "closed");
            assert_eq!(server.exchanges(), exchanges);
            server.forget();
        }
    });
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    with_ticket("tokens::a_token_is_renewed_before_it_expires", async || {
        let server = Server::start().await;
        server.seen.life.store(0, Ordering::SeqCst);
        let client = client(&server);
        for _ in 0..5 {
            assert_eq!(closed(&client).await.unwrap(), "closed");
        }
        // Only the first call had nothing to show.
        assert_eq!(server.refusals(), 1);
        assert!(server.exchanges() >= 5);
    });
}

#[test]
fn a_stream_cannot_be_repeated_but_finds_a_new_token_the_next_time() {
    with_ticket("tokens::a_stream_cannot_be_repeated_but_finds_a_new_token_the_next_time", async || {
        let server = Server::start().await;
        let client = client(&server);
        let error = upload(&client).await.unwrap_err();
        assert!(error.is_passing() && error.to_string().contains("send it again"), "{error}");
        assert_eq!(upload(&client).await.unwrap(), 4);
        assert_eq!(server.exchanges(), 1);
    });
}

#[test]
fn a_token_that_was_given_goes_before_a_login() {
    with_ticket("tokens::a_token_that_was_given_goes_before_a_login", async || {
        let server = Server::start().await;
        let client = client(&server).with_token("farm_other").unwrap();
        let error = closed(&client).await.unwrap_err();
        assert_eq!(error.to_string(), "say who you are");
        assert_eq!(server.exchanges(), 0);
    });
}
