//! One side of a login, as a process.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use farm_testing::Realm;

/// The example program `kerberos`, running. It is asked by a line and answers by one.
pub struct Side {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
}

/// An environment.
pub type Env = Vec<(String, String)>;

impl Side {
    pub fn start(args: &[&str], env: &Env) -> Self {
        Self::run(Command::new(program()).args(args), env)
    }

    /// At another time than now, as in `+10m`.
    pub fn start_at(time: &str, args: &[&str], env: &Env) -> Self {
        Self::run(Command::new("faketime").args(["-f", time]).arg(program()).args(args), env)
    }

    fn run(command: &mut Command, env: &Env) -> Self {
        let child = command.envs(env.iter().cloned()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; see deploy/setup test"));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, stdin, stdout: BufReader::new(stdout).lines() }
    }

    /// Its next line.
    pub fn says(&mut self) -> String {
        self.stdout.next().unwrap_or_else(|| panic!("it ended without a word")).unwrap()
    }

    /// Gives it a line, and gives its answer.
    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
        self.says()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server for `HTTP/localhost` of a realm, that is ready.
pub fn server(realm: &Realm) -> Side {
    let keytab = realm.add_service("HTTP/localhost");
    server_with(&with(realm, &[Realm::keytab(&keytab)]))
}

pub fn server_with(env: &Env) -> Side {
    let mut server = Side::start(&["accept", "HTTP@localhost"], env);
    assert_eq!(server.says(), "ready");
    server
}

/// The environment of a person who has a ticket.
pub fn person(realm: &Realm, name: &str) -> Env {
    realm.add_person(name);
    with(realm, &[Realm::ticket(&realm.kinit(name))])
}

pub fn with(realm: &Realm, more: &[(String, String)]) -> Env {
    [realm.env(), more.to_vec()].concat()
}

/// A token for `HTTP/localhost`.
pub fn token(env: &Env) -> String {
    token_of(&mut Side::start(&["initiate", "localhost"], env))
}

pub fn token_of(client: &mut Side) -> String {
    let line = client.says();
    line.strip_prefix("token ").unwrap_or_else(|| panic!("no token: {line}")).to_owned()
}

/// A refusal in its parts: the kind, what a client is told, what a log is told.
#[track_caller]
pub fn refused(line: &str, kind: &str, sentence: &str) {
    let parts: Vec<_> = line.strip_prefix("refused ").unwrap_or_else(|| panic!("{line}")).split(" | ").collect();
    assert_eq!(parts[0], kind, "{line}");
    assert!(parts[2].contains(sentence), "{line}");
    assert!(!line.contains('\0'), "{line:?}");
    // Nothing about the server, its files and its names goes to a client.
    for inside in ["FARM", "HTTP", "FILE", "/", "KRB5", "keytab"] {
        assert!(!parts[1].contains(inside), "{line}");
    }
}

fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/kerberos");
    assert!(program.exists(), "{} is missing: cargo build -p farm-auth --examples", program.display());
    program
}
