//! SIGHUP: a reload, or the end of the terminal.

use std::{
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
};

use farm_testing::DEADLINE;
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::support::{Daemon, PLAIN, command, get};

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
    let (notify, dir) = (tempfile::tempdir().unwrap(), command(PLAIN));
    let path = notify.path().join("notify");
    let ready = UnixDatagram::bind(&path).unwrap();
    ready.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut command, _config) = dir;
    let mut child = command
        .env("NOTIFY_SOCKET", &path)
        .stdin(Stdio::from(screen))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    ready.recv(&mut [0; 100]).unwrap();
    assert!(Command::new("kill").args(["-s", "HUP", &child.id().to_string()]).status().unwrap().success());
    ready.recv(&mut [0; 100]).unwrap();
    assert!(child.wait().unwrap().success());
}
