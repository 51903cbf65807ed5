//! The life of a daemon as a real process: ready, asked to end, left by its parent.

use std::{
    io::Read as _,
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
};

use farm_testing::DEADLINE;

use crate::support::{Daemon, PLAIN, command, get};

const ENDLESS: &str = "http.listen = \"127.0.0.1:0\"\ndrain_for_ever = true\n";

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

#[test]
fn the_time_is_left_out_only_for_the_journal() {
    let first_line = |stream: &str| {
        let mut daemon = Daemon::start_with(PLAIN, |command| {
            command.env("JOURNAL_STREAM", stream);
        });
        daemon.wait_for_log("smallest starts")
    };
    // What a shell that systemd started hands down; standard error is a pipe to this test.
    assert!(first_line("8:4711").starts_with("20"), "no year");

    let (mut command, _dir) = command(PLAIN);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let journal = rustix::fs::fstat(&writer).unwrap();
    command.env("JOURNAL_STREAM", format!("{}:{}", journal.st_dev, journal.st_ino));
    let mut child =
        command.arg("--with-parent").stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    drop(command);
    let mut log = String::new();
    reader.read_to_string(&mut log).unwrap();
    child.wait().unwrap();
    assert!(log.trim_start().starts_with("INFO"), "{log}");
}

#[test]
fn a_configuration_that_is_missing_is_named_once_with_the_way_out() {
    let (mut command, _dir) = command(PLAIN);
    let program = command.get_program().to_owned();
    command = Command::new(program);
    let output = command.args(["--config", "/nonexistent/farm.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "smallest: cannot read the configuration /nonexistent/farm.toml: No such file or directory (os error 2); \
         name another file with --config\n"
    );
}
