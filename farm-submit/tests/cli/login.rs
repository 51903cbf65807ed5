//! Login by Kerberos ticket, as the user of the tools sees it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    thread,
};

use super::{program, run};

/// A server that answers everything with a demand for Negotiate.
fn ask_everybody_to_log_in() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = BufReader::new(&connection).lines().map_while(Result::ok);
            // To its empty line.
            head.find(String::is_empty);
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn a_user_without_a_ticket_is_told_to_get_one() {
    let url = ask_everybody_to_log_in();
    let mut farm = program("farm", &url);
    farm.env("KRB5_CONFIG", "/dev/null").env("KRB5CCNAME", "FILE:/nonexistent/ticket");
    let ran = run(farm.arg("whoami")).ended(5);
    let expected = format!("farm: cannot log in at {url}: there is no Kerberos ticket: run kinit");
    assert!(ran.stderr.starts_with(&expected), "{}", ran.stderr);
}
