//! Whose request it is, directly and through a proxy.

use std::{net::TcpStream, os::unix::net::UnixStream};

use crate::support::{Daemon, PLAIN, ask, body, get};

const FORWARDED: &str = "X-Forwarded-For: 10.9.8.7, 198.51.100.7\r\n";

#[test]
fn a_caller_cannot_say_that_he_is_somebody_else() {
    let mut daemon = Daemon::start(PLAIN);
    let stream = TcpStream::connect(daemon.address()).unwrap();
    assert_eq!(body(&ask(stream, "/caller", FORWARDED).unwrap()), "127.0.0.1");
}

#[test]
fn behind_a_proxy_the_caller_is_whom_the_proxy_names() {
    let mut daemon = Daemon::start(&format!("{PLAIN}http.behind_proxy = true\n"));
    let address = daemon.address();
    let stream = TcpStream::connect(&address).unwrap();
    assert_eq!(body(&ask(stream, "/caller", FORWARDED).unwrap()), "198.51.100.7");
    assert_eq!(body(&get(&address, "/caller")), "127.0.0.1");
}

#[test]
fn a_caller_through_a_unix_socket_is_local() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let mut daemon = Daemon::start(&format!("http.listen = \"unix:{}\"\n", socket.display()));
    daemon.address();
    let stream = UnixStream::connect(&socket).unwrap();
    assert_eq!(body(&ask(stream, "/caller", FORWARDED).unwrap()), "local");
}
