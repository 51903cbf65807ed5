//! The example daemon in the hands of a test.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Instant,
};

use farm_testing::DEADLINE;
use tempfile::TempDir;

/// Listens on a free port.
pub const PLAIN: &str = "http.listen = \"127.0.0.1:0\"\n";

/// The example daemon as a child, killed when the test ends.
pub struct Daemon {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    log: Receiver<String>,
    _dir: TempDir,
}

impl Daemon {
    pub fn start(config: &str) -> Self {
        Self::start_with(config, |_| {})
    }

    /// Starts it after the test has changed its command.
    pub fn start_with(config: &str, change: impl FnOnce(&mut Command)) -> Self {
        let (mut command, dir) = command(config);
        command.arg("--with-parent").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let log = lines(child.stderr.take().unwrap());
        Self { child, stdin, stdout, log, _dir: dir }
    }

    /// Waits for the line that says it is ready, and gives its address.
    pub fn address(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["ready"], true);
        line["listen"].as_str().unwrap().to_owned()
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for a line of the log that contains the text, and gives all lines up to it.
    pub fn wait_for_log(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        let mut log = String::new();
        loop {
            match self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => log = log + &line + "\n",
                Err(_) => panic!("the log has no “{text}”:\n{log}"),
            }
            if log.lines().next_back().is_some_and(|line| line.contains(text)) {
                return log;
            }
        }
    }

    /// Waits for the end: its status and what it logged since the last look.
    pub fn end(mut self) -> (ExitStatus, String) {
        let end = Instant::now() + DEADLINE;
        let mut log = String::new();
        loop {
            match self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => log = log + &line + "\n",
                Err(RecvTimeoutError::Disconnected) => return (self.child.wait().unwrap(), log),
                Err(RecvTimeoutError::Timeout) => panic!("the daemon did not end; it said:\n{log}"),
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that come, read by a thread so that waiting for them can have a deadline.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

pub fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
}

/// The example, which cargo builds along with the tests, and its configuration.
pub fn command(config: &str) -> (Command, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let command = command_in(dir.path(), config);
    (command, dir)
}

/// The same with its configuration in a folder of the test.
pub fn command_in(dir: &Path, config: &str) -> Command {
    let file = dir.join("smallest.toml");
    fs_err::write(&file, config).unwrap();
    let tests: PathBuf = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/smallest");
    assert!(program.exists(), "{} is missing: cargo build -p farm-daemon --examples", program.display());
    let mut command = Command::new(program);
    command.arg("--config").arg(file);
    for inherited in ["FARM_LOG", "FARM_LOG_FORMAT", "NOTIFY_SOCKET", "INVOCATION_ID", "JOURNAL_STREAM"] {
        command.env_remove(inherited);
    }
    command
}

/// Asks by HTTP and gives the whole answer.
pub fn get(address: &str, path: &str) -> String {
    ask(TcpStream::connect(address).unwrap(), path, "").unwrap()
}

/// Asks through an open connection. The further headers end with a line break each.
pub fn ask(mut stream: impl Read + Write, path: &str, headers: &str) -> std::io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: farm\r\nConnection: close\r\n{headers}\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// What an answer says after its headers.
pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}
