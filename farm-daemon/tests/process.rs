//! The life of a daemon as a real process: ready, asked to end, left by its parent.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(30);

/// The example daemon, killed when the test ends.
struct Daemon {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    _dir: TempDir,
}

impl Daemon {
    fn start(config: &str) -> Self {
        let (mut command, dir) = command(config);
        let mut child = command
            .arg("--with-parent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout, _dir: dir }
    }

    /// Waits for the line that says it is ready, and gives its address.
    fn address(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["ready"], true);
        line["listen"].as_str().unwrap().to_owned()
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for a line of the log that contains the text.
    fn wait_for_log(&mut self, text: &str) {
        let mut log = BufReader::new(self.child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the log ended without “{text}”");
        }
        self.child.stderr = Some(log.into_inner());
    }

    /// Waits for the end: its status and what it logged.
    fn end(mut self) -> (ExitStatus, String) {
        let mut stderr = self.child.stderr.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut log = String::new();
            let _ = stderr.read_to_string(&mut log);
            sender.send(log)
        });
        let log = receiver.recv_timeout(DEADLINE).expect("the daemon did not end");
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example, which cargo builds along with the tests, and its configuration.
fn command(config: &str) -> (Command, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smallest.toml");
    fs_err::write(&file, config).unwrap();
    let tests: PathBuf = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/smallest");
    assert!(program.exists(), "{} is missing: cargo build -p farm-daemon --examples", program.display());
    let mut command = Command::new(program);
    command.arg("--config").arg(file).env_remove("FARM_LOG").env_remove("FARM_LOG_FORMAT");
    (command, dir)
}

const PLAIN: &str = "http.listen = \"127.0.0.1:0\"\n";
const ENDLESS: &str = "http.listen = \"127.0.0.1:0\"\ndrain_for_ever = true\n";

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: farm\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_daemon_says_when_it_is_ready_and_answers_there() {
    let mut daemon = Daemon::start(PLAIN);
    let address = daemon.address();
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/readyz").contains("x-request-id"));
    let numbers = get(&address, "/metrics");
    assert!(
        numbers.contains(r#"farm_http_request_seconds_count{method="GET",route="/healthz",status="200"} 1"#),
        "{numbers}"
    );
}

#[test]
fn the_first_signal_drains_and_the_exit_is_a_success() {
    let mut daemon = Daemon::start(PLAIN);
    daemon.address();
    daemon.signal("TERM");
    let (status, log) = daemon.end();
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("smallest ended"), "{log}");
}

#[test]
fn systemd_is_told_when_the_daemon_is_ready_and_when_it_ends() {
    let (mut command, dir) = command(PLAIN);
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut child = command.env("NOTIFY_SOCKET", path).stderr(Stdio::null()).spawn().unwrap();
    let told = |expected: &str| {
        let mut buffer = [0; 200];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(String::from_utf8_lossy(&buffer[..length]).trim(), expected);
    };
    told("READY=1");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    told("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_second_signal_exits_at_once() {
    let mut daemon = Daemon::start(ENDLESS);
    daemon.address();
    daemon.signal("TERM");
    daemon.wait_for_log("signal received");
    daemon.signal("TERM");
    assert_eq!(daemon.end().0.code(), Some(128 + 15));
}

#[test]
fn the_end_of_its_parent_ends_the_daemon() {
    let mut daemon = Daemon::start(PLAIN);
    daemon.address();
    drop(daemon.stdin.take());
    let (status, log) = daemon.end();
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("the parent is gone"), "{log}");
}

#[test]
fn a_daemon_whose_parent_is_gone_does_not_drain_for_ever() {
    let mut daemon = Daemon::start(ENDLESS);
    daemon.address();
    drop(daemon.stdin.take());
    assert_eq!(daemon.end().0.code(), Some(1));
}

#[test]
fn a_line_of_the_log_is_json_when_that_is_asked_for() {
    let mut daemon = Daemon::start(&format!("{PLAIN}[log]\nformat = \"json\"\n"));
    daemon.address();
    daemon.signal("TERM");
    let (_, log) = daemon.end();
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].is_string(), "{line}");
    }
}

#[test]
fn a_good_configuration_is_called_good() {
    let (mut command, _dir) = command(PLAIN);
    let output = command.arg("--check-config").output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "configuration is good\n");
}

#[test]
fn a_bad_configuration_is_refused_with_its_problem_and_code_2() {
    let (mut command, _dir) = command("http.listen = \"0.0.0.0:8000\"\n");
    let output = command.arg("--check-config").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("other machines"));
}
