//! What a person sees: the programs on a terminal.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::ffi::OsStrExt,
    process::{Child, Command, Stdio},
};

use farm_types::{Stage, TaskState};
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::{
    binary,
    server::{Farm, Server},
    things::{failed, job, running, task},
};

/// A program on a terminal of its own.
struct OnTerminal {
    child: Child,
    screen: File,
    seen: String,
}

impl OnTerminal {
    fn start(server: &Server, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        tcsetwinsize(&screen, Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let terminal = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let child = Command::new(binary("farm"))
            .args(arguments)
            .env_clear()
            .env("FARM_SERVER", &server.url)
            .env("TERM", "xterm")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal)
            .spawn()
            .unwrap();
        Self { child, screen: screen.into(), seen: String::new() }
    }

    /// Reads until that is seen.
    fn until(&mut self, words: &str) {
        while !self.seen.contains(words) {
            assert!(self.read(), "never seen: {words}\n{:?}", self.seen);
        }
    }

    fn read(&mut self) -> bool {
        let mut block = [0; 4096];
        // A terminal whose last program has gone reads as an error.
        let count = self.screen.read(&mut block).unwrap_or(0);
        self.seen += &String::from_utf8_lossy(&block[..count]);
        count > 0
    }

    /// Everything that was seen, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        while self.read() {}
        (self.seen, self.child.wait().unwrap().code())
    }
}

fn building() -> Server {
    let tasks = vec![running(1, "f13-x86_64", Stage::Build), task(2, "sl5-i686", TaskState::Pending)];
    Server::start(Farm { events: [job(1, tasks)].into(), ..Farm::default() })
}

#[test]
fn each_platform_has_a_line_that_is_redrawn_until_ctrl_c() {
    let server = building();
    let mut farm = OnTerminal::start(&server, &["watch", "1"], &[]);
    farm.until("Job 1 \u{1b}[36mrunning\u{1b}[0m: 0 of 2 built");
    farm.until("f13-x86_64  \u{1b}[36mrunning  \u{1b}[0m  build  ");
    farm.until("sl5-i686    pending");
    kill_process(Pid::from_child(&farm.child), Signal::INT).unwrap();
    let (seen, code) = farm.end();
    assert!(seen.ends_with("Job 1 goes on; come back with: farm watch 1\r\n"), "{seen:?}");
    assert_eq!(code, Some(130));
}

#[test]
fn no_color_takes_the_colours_and_leaves_the_words() {
    let server = building();
    let mut farm = OnTerminal::start(&server, &["watch", "1"], &[("NO_COLOR", "1")]);
    farm.until("f13-x86_64  running    build  ");
    farm.until("sl5-i686    pending");
    kill_process(Pid::from_child(&farm.child), Signal::INT).unwrap();
    let (seen, _) = farm.end();
    assert!(!seen.contains("\u{1b}[3") && !seen.contains("\u{1b}[1m"), "{seen:?}");
}

#[test]
fn a_log_on_a_terminal_can_do_nothing_to_it() {
    let server = Server::with_job(job(42, vec![failed(2, "f14-x86_64")]));
    server.farm().logs.insert((2, Some(1)), b"a\x1b]0;owned\x07b\r\n\x9b2J \xe2\x82\xac\n".to_vec());
    let (seen, code) = OnTerminal::start(&server, &["logs", "42"], &[]).end();
    assert_eq!((seen.as_str(), code), ("a\\u{1b}]0;owned\\u{7}b\r\n\\x9B2J €\r\n", Some(0)));
}
