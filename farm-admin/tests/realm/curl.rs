//! HTTP as curl speaks it, which also logs in by itself.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::{Command, Stdio},
};

use crate::site::Env;

/// curl with the ticket of its environment.
pub const BY_TICKET: [&str; 3] = ["--negotiate", "--user", ":"];

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// How many answers it took.
    pub rounds: usize,
    head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header, the first where there are several; empty: there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or_default()
    }

    /// All values of a header.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn command(env: &Env, args: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "60"]);
    command.args(args).envs(env.iter().cloned());
    command
}

/// Asks, with the environment of somebody.
pub fn curl(env: &Env, args: &[&str]) -> Answer {
    let output = command(env, args).output().unwrap();
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let (mut rest, mut head, mut rounds) = (&*said, "", 0);
    while let Some((first, more)) = rest.split_once("\r\n\r\n").filter(|_| rest.starts_with("HTTP/")) {
        (head, rest, rounds) = (first, more, rounds + 1);
    }
    let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {why}")).parse().unwrap();
    Answer { status, rounds, head: head.to_owned(), body: rest.to_owned() }
}

/// Asks with a header.
pub fn with_header(header: &str, url: &str) -> Answer {
    curl(&Env::new(), &["--header", header, url])
}

/// The header by which somebody logs in at `localhost`, as whoever listens on the way would see it. No server has seen it yet.
pub fn overheard(env: &Env) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let args: Vec<&str> = BY_TICKET.into_iter().chain([url.as_str()]).collect();
    let mut client = command(env, &args).stdout(Stdio::null()).spawn().unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    let (mut request, mut block) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = socket.read(&mut block).unwrap();
        assert_ne!(length, 0, "curl went away in the middle of its request");
        request.extend_from_slice(&block[..length]);
    }
    socket.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").unwrap();
    client.wait().unwrap();
    let request = String::from_utf8(request).unwrap();
    let header = request.lines().find(|line| line.starts_with("Authorization: Negotiate "));
    header.unwrap_or_else(|| panic!("curl came without a ticket: {request}")).to_owned()
}
