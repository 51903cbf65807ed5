//! `farm-admin up`: from nothing to a farm, through every kind of end, and up again.

use farm_testing::{DEADLINE, Signal, eventually_blocking};

use crate::support::{Farm, printed, readiness};

/// What `up` keeps running.
const DAEMONS: [&str; 6] = ["validator", "janitor", "publisher", "hub", "web", "builder"];

#[test]
fn a_farm_comes_up_answers_and_ends_in_good_order() {
    let mut farm = Farm::start(&[]);
    assert!(farm.url.starts_with("http://127.0.0.1:"), "{}", farm.url);
    assert_eq!(fs_err::read_to_string(farm.data.path().join("url")).unwrap(), farm.url);
    readiness(&farm.url).unwrap();
    for daemon in DAEMONS {
        assert!(farm.daemon(daemon).is_some(), "no {daemon} in {:?}", farm.processes());
    }

    let status = farm.up.terminate();
    assert_eq!(status.code(), Some(0), "{}", farm.up.log());
    assert_eq!(farm.processes(), []);
    assert!(readiness(&farm.url).is_err());
    assert!(!farm.data.path().join("url").exists(), "nobody is sent to a farm that is down");

    farm.start_again();
    readiness(&farm.url).unwrap();
}

#[test]
fn a_second_farm_on_the_same_data_is_refused_and_the_first_one_unhurt() {
    let farm = Farm::start(&[]);
    let output = farm.admin().args(["up", "--listen", "127.0.0.1:0"]).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("another process uses"), "{said}");
    assert_eq!(fs_err::read_to_string(farm.data.path().join("url")).unwrap(), farm.url);
    readiness(&farm.url).unwrap();
}

#[test]
fn nothing_outlives_a_farm_that_is_killed_and_it_comes_up_again_on_its_data() {
    let mut farm = Farm::start(&[]);
    let builder = printed(farm.admin().args(["builder", "list"]));
    farm.up.kill();
    farm.wait_until_gone();

    farm.start_again();
    readiness(&farm.url).unwrap();
    let again = printed(farm.admin().args(["builder", "list"]));
    let name = |list: &str| list.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert_eq!(name(&builder), name(&again));
}

#[test]
fn a_daemon_that_is_killed_is_up_again_at_the_same_address() {
    let farm = Farm::start(&[]);
    for name in DAEMONS {
        let killed = farm.daemon(name).unwrap();
        kill(killed);
        eventually_blocking(&format!("another life of the {name}"), DEADLINE, || {
            farm.daemon(name).filter(|pid| *pid != killed)
        });
    }
    eventually_blocking("readiness at the old address", DEADLINE, || readiness(&farm.url).ok());
    eventually_blocking("a farm that is well", DEADLINE, || farm.admin().arg("doctor").ok().ok());
}

#[test]
fn an_interrupted_start_leaves_nothing_behind() {
    let mut farm = Farm::start(&[]);
    farm.up.signal(Signal::INT);
    assert_eq!(farm.up.wait(DEADLINE).code(), Some(0));
    farm.wait_until_gone();
}

#[test]
fn the_doctor_finds_a_farm_that_is_up_well_and_one_that_is_down_down() {
    let mut farm = Farm::start(&[]);
    let said = printed(farm.admin().arg("doctor"));
    for name in ["schema", "validator", "janitor", "web", "hub"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("ok       {name} "))), "{name} is not well:\n{said}");
    }
    farm.up.terminate();
    let said = printed(farm.admin().arg("doctor"));
    assert!(said.contains("is down"), "{said}");

    // A farm that was killed says that it is there, and is not.
    farm.start_again();
    farm.up.kill();
    farm.wait_until_gone();
    farm.admin().arg("doctor").assert().code(1);
}

fn kill(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}
