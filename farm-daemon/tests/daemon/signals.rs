//! SIGHUP: a reload, or the end of the terminal.

use std::os::unix::net::UnixDatagram;

use farm_testing::DEADLINE;
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::support::{Daemon, PLAIN, get};

#[test]
fn systemd_is_told_when_a_reload_begins_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let told = || {
        let mut buffer = [0; 200];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let daemon = Daemon::start_with(PLAIN, |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert_eq!(told(), "READY=1");
    daemon.signal("HUP");
    let reloading = told();
    let begun = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
    assert!(begun.parse::<u64>().unwrap() > 0);
    assert_eq!(told(), "READY=1");
}

#[test]
fn a_daemon_that_reloads_goes_on_serving() {
    let mut daemon = Daemon::start(PLAIN);
    let address = daemon.address();
    daemon.signal("HUP");
    daemon.wait_for_log("reloaded");
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_daemon_on_a_terminal_ends_with_it() {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let screen = open(ptsname(&terminal, Vec::new()).unwrap(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut daemon = Daemon::start_with(PLAIN, |command| {
        command.stdin(screen);
    });
    daemon.address();
    daemon.signal("HUP");
    let (status, log) = daemon.end();
    assert!(status.success() && log.contains("signal received"), "{status}: {log}");
}
