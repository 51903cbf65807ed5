//! Daemons that leave their terminal.

use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::channel,
    thread,
};

use farm_testing::{DEADLINE, eventually_blocking};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use tempfile::TempDir;

use crate::support::{PLAIN, command_in, get, signal};

/// A place for a daemon in the background: its files, and the named pipe that it depends on, so that it does not outlive
/// the test.
struct Place {
    dir: TempDir,
    pid_file: PathBuf,
    log_file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new("mkfifo").arg(dir.path().join("gate")).status().unwrap();
        assert!(made.success());
        let (pid_file, log_file) = (dir.path().join("pid"), dir.path().join("log"));
        Self { dir, pid_file, log_file }
    }

    /// The command with further lines in its configuration, its output kept.
    fn command(&self, config: &str) -> Command {
        let gate = self.dir.path().join("gate");
        let mut command = command_in(self.dir.path(), &format!("gate = \"{}\"\n{PLAIN}{config}", gate.display()));
        command.args(["--daemon", "--pid-file"]).arg(&self.pid_file).arg("--log-file").arg(&self.log_file);
        command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the daemon up to the moment before it is ready: the command, and what the daemon waits for.
    fn begin(&self) -> (Child, Background) {
        let starter = self.command("").spawn().unwrap();
        let gate = self.gate();
        (starter, Background { pid: self.pid(), gate })
    }

    /// Waits for the daemon to come to its gate: opening a named pipe waits for the other side.
    fn gate(&self) -> File {
        let path = self.dir.path().join("gate");
        let (sender, opened) = channel();
        thread::spawn(move || sender.send(File::options().write(true).open(path)));
        opened.recv_timeout(DEADLINE).expect("no daemon came to its gate").unwrap()
    }

    /// Starts the daemon and waits until the command has ended.
    fn start(&self) -> Background {
        let (starter, mut daemon) = self.begin();
        daemon.make_ready();
        let output = starter.wait_with_output().unwrap();
        assert!(output.status.success(), "{}: {}", output.status, said(&output));
        daemon
    }

    fn pid(&self) -> u32 {
        fs_err::read_to_string(&self.pid_file).unwrap().trim().parse().unwrap()
    }

    fn log(&self) -> String {
        fs_err::read_to_string(&self.log_file).unwrap()
    }
}

/// A daemon that runs in the background.
struct Background {
    pid: u32,
    gate: File,
}

impl Background {
    fn make_ready(&mut self) {
        self.gate.write_all(b".").unwrap();
    }

    /// Sends a signal and waits for the end.
    fn end_by(self, name: &str) {
        let process = pidfd_open(Pid::from_raw(self.pid.try_into().unwrap()).unwrap(), PidfdFlags::empty()).unwrap();
        signal(self.pid, name);
        let deadline = Timespec::try_from(DEADLINE).unwrap();
        let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&deadline)).unwrap();
        assert_eq!(ended, 1, "the daemon did not end");
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A field of what the system knows of a process.
fn status(pid: u32, field: &str) -> String {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap().trim().to_owned()
}

#[test]
fn the_command_ends_when_the_daemon_is_ready_and_not_before() {
    let place = Place::new();
    let (mut starter, mut daemon) = place.begin();
    assert!(starter.try_wait().unwrap().is_none(), "it ended although the daemon was not ready");
    daemon.make_ready();
    let output = starter.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!((said(&output).as_str(), output.stdout.len()), ("", 0), "all words are in the log");

    let log = place.log();
    let address = log.split("listen=").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
    daemon.end_by("TERM");
    assert!(place.log().contains("smallest ended"), "{}", place.log());
    assert!(!place.pid_file.exists(), "the pid file stayed");
}

#[test]
fn a_daemon_has_left_terminal_session_and_streams_and_kept_its_folder() {
    let place = Place::new();
    let daemon = place.start();
    // From /proc, where a session whose leader is in an outer process namespace is 0, as in a container: no call can say that.
    let stat = |pid: u32| {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields = stat.rsplit(") ").next().unwrap().split(' ');
        fields.map(str::to_owned).collect::<Vec<_>>()
    };
    let fields = stat(daemon.pid);
    assert_ne!(fields[3], stat(std::process::id())[3]);
    assert_ne!(fields[3], daemon.pid.to_string(), "a leader of a session could get a terminal again");
    assert_eq!(fields[4], "0", "it has a terminal");
    let open = |fd| fs_err::read_link(format!("/proc/{}/fd/{fd}", daemon.pid)).unwrap();
    assert_eq!(open(0), PathBuf::from("/dev/null"));
    assert_eq!((open(1), open(2)), (place.log_file.clone(), place.log_file.clone()));
    assert_eq!(fs_err::read_link(format!("/proc/{}/cwd", daemon.pid)).unwrap(), place.dir.path());
    let umask = |pid| u32::from_str_radix(&status(pid, "Umask"), 8).unwrap();
    assert_eq!(umask(daemon.pid), umask(std::process::id()) | 0o022);
    assert_eq!(fs_err::metadata(&place.log_file).unwrap().mode() & 0o777, 0o640);
    daemon.end_by("TERM");
}

#[test]
fn a_second_start_fails_and_names_the_process_that_runs() {
    let place = Place::new();
    let daemon = place.start();
    let output = place.command("").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "smallest: the pid file {} is locked by process {}, so smallest runs already: end that, or name another --pid-file\n",
        place.pid_file.display(),
        daemon.pid
    );
    assert_eq!(said(&output), expected);
    assert_eq!(place.pid(), daemon.pid);
    daemon.end_by("TERM");
}

#[test]
fn a_daemon_that_was_killed_does_not_stand_in_the_way() {
    let place = Place::new();
    let killed = place.start();
    killed.end_by("KILL");
    assert!(place.pid_file.exists());
    let next = place.start();
    assert_eq!(place.pid(), next.pid);
    next.end_by("TERM");
}

#[test]
fn what_fails_before_the_daemon_is_ready_is_said_on_the_terminal() {
    let place = Place::new();
    let output = place.command("failure = \"the database does not answer\"\n").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output), "smallest: the database does not answer\n");
    assert!(place.log().contains("smallest failed: the database does not answer"), "{}", place.log());
    assert!(!place.pid_file.exists());
}

#[test]
fn a_daemon_that_dies_before_it_is_ready_is_a_failure_that_names_the_log() {
    let place = Place::new();
    let (starter, daemon) = place.begin();
    daemon.end_by("KILL");
    let output = starter.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("ended before it was ready; its log is {}\n", place.log_file.display());
    assert!(said(&output).ends_with(&expected), "{}", said(&output));
}

#[test]
fn a_log_that_was_renamed_is_opened_anew_at_sighup() {
    let place = Place::new();
    let daemon = place.start();
    let rotated = place.dir.path().join("log.1");
    fs_err::rename(&place.log_file, &rotated).unwrap();
    signal(daemon.pid, "HUP");
    eventually_blocking("a line in the new log", DEADLINE, || {
        std::fs::read_to_string(&place.log_file).ok()?.contains("reloaded").then_some(())
    });
    daemon.end_by("TERM");
    assert!(place.log().contains("smallest ended"));
    let rotated = fs_err::read_to_string(rotated).unwrap();
    assert!(rotated.contains("ready") && !rotated.contains("smallest ended"), "{rotated}");
}

#[test]
fn paths_are_those_of_the_folder_where_it_was_started() {
    let place = Place::new();
    let mut command = command_in(place.dir.path(), &format!("gate = \"gate\"\n{PLAIN}"));
    command.args(["--daemon", "--pid-file", "pid", "--log-file", "log"]).current_dir(place.dir.path());
    let starter = command.spawn().unwrap();
    let gate = place.gate();
    let mut daemon = Background { pid: place.pid(), gate };
    daemon.make_ready();
    assert!(starter.wait_with_output().unwrap().status.success());
    daemon.end_by("TERM");
    assert!(!place.pid_file.exists());
}

#[test]
fn systemd_and_parents_watch_their_daemons_themselves() {
    let place = Place::new();
    for variable in ["NOTIFY_SOCKET", "INVOCATION_ID"] {
        let output = place.command("").env(variable, "/x").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(&format!("{variable} is set")), "{}", said(&output));
    }
    let output = place.command("").arg("--with-parent").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("--with-parent"), "{}", said(&output));
    assert!(!place.log_file.exists());
}

#[test]
fn a_command_line_that_cannot_be_followed_is_refused_with_code_2() {
    let place = Place::new();
    let alone = command_in(place.dir.path(), PLAIN).arg("--daemon").output().unwrap();
    assert_eq!(alone.status.code(), Some(2));
    assert!(said(&alone).contains("--pid-file"), "{}", said(&alone));
    let foreground = command_in(place.dir.path(), PLAIN).args(["--log-file", "log"]).output().unwrap();
    assert_eq!(foreground.status.code(), Some(2));
    let nowhere = Place { log_file: "/nonexistent/log".into(), ..Place::new() };
    let output = nowhere.command("").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("cannot write the log file /nonexistent/log: No such file"), "{}", said(&output));
    let wrong = place.command("lsten = 1\n").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}
