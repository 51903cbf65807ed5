//! The transport logs in by Kerberos ticket: with a real KDC, at a server that does as those of the farm do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;
mod setbacks;
mod tls;
mod tokens;

use farm_api::client::Transport;
use farm_testing::{Realm, in_environment};
use server::Server;

/// Runs a test in a process that is both, alice with her ticket and a web server on localhost with its key.
fn with_ticket(test: &str, body: impl AsyncFnOnce()) {
    in_environment(test, || (environment(true), ()), || run(body()));
}

/// The same without a ticket.
fn without_ticket(test: &str, body: impl AsyncFnOnce()) {
    in_environment(test, || (environment(false), ()), || run(body()));
}

fn environment(ticket: bool) -> Vec<(String, String)> {
    let realm = Realm::shared();
    let mut env = realm.env();
    env.push(Realm::keytab(&realm.add_service("HTTP/localhost")));
    realm.add_person("alice");
    if ticket {
        env.push(Realm::ticket(&realm.kinit("alice")));
    }
    env
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test);
}

fn client(server: &Server) -> Transport {
    Transport::new(&server.url(), "tests").unwrap().with_login("api/v1/token")
}
