//! A daemon that is upgraded while it builds.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use farm_auth::Token;
use farm_testing::{Process, Signal, Spec, eventually};
use rustix::process::{Pid, kill_process};

use crate::{
    common::processes_with,
    support::{Farm, SOON, leftovers, write_token},
};

/// A builder that nobody watches, whose program is a copy that can be replaced.
struct Upgradable {
    process: Process,
    program: PathBuf,
}

impl Upgradable {
    fn start(farm: &Farm, name: &str, more: &str) -> Self {
        let program = farm.dir.path().join(format!("farm-builder-{name}"));
        install(&program);
        let config = farm.dir.path().join(format!("{name}.toml"));
        fs_err::write(&config, farm.builder_config(name, more)).unwrap();
        let mut command = Command::new(&program);
        command.arg("--config").arg(config);
        let process = Process::start("farm-builder", command);
        process.wait_for_log("farm_daemon::notify: ready");
        Self { process, program }
    }

    /// What the log says of a successor.
    fn successor(&self) -> Pid {
        let line = self.process.wait_for_log("a successor has taken over");
        let pid = line.split("successor=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
        Pid::from_raw(pid).unwrap()
    }
}

/// Puts the program into place as packages do: the old file goes, whoever runs it keeps it.
fn install(program: &Path) {
    let new = program.with_extension("new");
    fs_err::copy(farm_testing::program("farm-builder", "farm-builder"), &new).unwrap();
    fs_err::rename(new, program).unwrap();
}

#[tokio::test]
async fn a_build_survives_an_upgrade_of_the_builder_and_the_new_one_builds_beside_it() {
    let farm = Farm::start();
    let mut builder = Upgradable::start(&farm, "upgrade", "slots = 2");
    let long = farm.job(&[Spec::named("long").build("echo ready; sleep 20; echo survived").srpm()]).await;
    farm.logged(long, "ready").await;
    install(&builder.program);
    builder.process.signal(Signal::USR2);
    let successor = builder.successor();
    let program = format!("/proc/{}/exe", successor.as_raw_nonzero());
    assert_eq!(fs_err::read_link(program).unwrap(), builder.program);

    let beside = farm.job(&[Spec::named("beside").srpm()]).await;
    assert_eq!(farm.ended(beside).await, "succeeded");
    assert_eq!(farm.ended(long).await, "succeeded");
    assert_eq!(farm.attempts(long, "outcome"), "succeeded");
    assert!(farm.log(long).await.contains("survived"));
    let overlap = "SELECT max(started_at) < min(finished_at) FROM farm.attempt WHERE $1 > 0";
    assert_eq!(farm.ask(long, overlap).as_deref(), Some("true"));
    // The old one ends by itself, and the new one has all slots then.
    assert!(builder.process.wait(SOON).success());
    builder.process.wait_for_log("the predecessor has ended");
    let pair = [Spec::named("one").build("sleep 2"), Spec::named("two").build("sleep 2")];
    for job in [farm.job(&[pair[0].srpm()]).await, farm.job(&[pair[1].srpm()]).await] {
        assert_eq!(farm.ended(job).await, "succeeded");
    }
    kill_process(successor, Signal::TERM).unwrap();
    eventually("the end of the successor", SOON, async || leftovers("upgrade").is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_builder_whose_successor_cannot_come_up_goes_on_and_loses_nothing() {
    let farm = Farm::start();
    let builder = Upgradable::start(&farm, "noheir", "slots = 2");
    let long = farm.job(&[Spec::named("long").build("echo ready; sleep 10").srpm()]).await;
    farm.logged(long, "ready").await;
    let (config, token) = (farm.dir.path().join("noheir.toml"), farm.dir.path().join("noheir"));
    let good = fs_err::read_to_string(&config).unwrap();
    // One that does not take its configuration, and one that the hub does not take.
    fs_err::write(&config, "slots = 'many'").unwrap();
    builder.process.signal(Signal::USR2);
    builder.process.wait_for_log("no successor took over: the new program does not take the configuration");
    builder.process.wait_for_log("tasks are taken again");
    fs_err::write(&config, &good).unwrap();
    write_token(&token, &Token::generate());
    builder.process.signal(Signal::USR2);
    builder.process.wait_for_log("no successor took over: it ended before it was ready");

    let next = farm.job(&[Spec::named("next").srpm()]).await;
    assert_eq!(farm.ended(next).await, "succeeded");
    assert_eq!(farm.ended(long).await, "succeeded");
    assert_eq!(
        (farm.attempts(long, "outcome"), farm.attempts(next, "outcome")),
        ("succeeded".into(), "succeeded".into())
    );
}

#[tokio::test]
async fn a_successor_that_is_told_to_end_takes_its_predecessor_along() {
    let farm = Farm::start();
    let mut builder = Upgradable::start(&farm, "both", "slots = 2\ndrain_seconds = 1");
    let job = farm.job(&[Spec::named("endless").build("echo ready\n(exec -a hang-both sleep 1000)").srpm()]).await;
    farm.logged(job, "ready").await;
    builder.process.signal(Signal::USR2);
    let successor = builder.successor();
    kill_process(successor, Signal::TERM).unwrap();
    assert!(builder.process.wait(SOON).success());
    eventually("the end of the successor", SOON, async || leftovers("both").is_empty().then_some(())).await;
    assert_eq!(processes_with("hang-both"), [""; 0]);
    // The successor may be given the task once more before its last claim is recalled, and gives it back at once.
    let outcomes = farm.attempts(job, "outcome");
    assert!(!outcomes.is_empty() && outcomes.split(' ').all(|outcome| outcome == "released"), "{outcomes}");
}

#[tokio::test]
async fn a_builder_that_is_watched_by_a_parent_has_no_successor_and_goes_on() {
    let farm = Farm::start();
    let builder = farm.builder("watched", "");
    builder.signal(Signal::USR2);
    builder.wait_for_log("started with --with-parent cannot have a successor");
    let job = farm.job(&[Spec::named("watched").srpm()]).await;
    assert_eq!(farm.ended(job).await, "succeeded");
}
