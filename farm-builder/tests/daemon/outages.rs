//! A hub that is away.

use diesel::connection::SimpleConnection as _;
use farm_testing::{Spec, eventually};

use crate::support::{Farm, SOON};

#[tokio::test]
async fn a_package_is_built_while_the_hub_is_away_and_delivered_when_it_is_back() {
    let mut farm = Farm::start();
    let builder = farm.builder("patient", "");
    let script = "echo ready\nfor n in $(seq 40); do echo line $n; sleep 0.1; done\necho done building";
    let job = farm.job(&[Spec::named("patient").build(script).srpm()]).await;
    farm.logged(job, "ready").await;
    farm.hub.kill();
    builder.wait_for_log("bringing a result has to wait");
    farm.restart_hub();
    assert_eq!(farm.ended(job).await, "succeeded");
    assert_eq!(farm.attempts(job, "outcome"), "succeeded");
    let log = farm.log(job).await;
    assert!(log.contains("line 1\n") && log.contains("line 40\n"), "{log}");
}

#[tokio::test]
async fn the_log_goes_on_where_the_hub_has_it_after_a_restart() {
    let mut farm = Farm::start();
    let _builder = farm.builder("resume", "");
    let script = "echo ready\nsleep 3\necho still here\nsleep 1000";
    let job = farm.job(&[Spec::named("resume").build(script).srpm()]).await;
    farm.logged(job, "ready").await;
    farm.hub.kill();
    farm.restart_hub();
    farm.logged(job, "\nstill here\n").await;
}

#[tokio::test]
async fn a_builder_waits_for_a_hub_that_is_not_there_yet() {
    let mut farm = Farm::start();
    let config = farm.builder_config("early", "");
    farm.hub.kill();
    let file = farm.dir.path().join("early.toml");
    fs_err::write(&file, config).unwrap();
    let mut command = std::process::Command::new(farm_testing::program("farm-builder", "farm-builder"));
    command.arg("--with-parent").arg("--config").arg(file);
    let mut builder = farm_testing::Process::start("farm-builder", command);
    builder.wait_for_log("waiting for the hub");
    farm.restart_hub();
    builder.wait_until_ready();
}

#[tokio::test]
async fn an_end_that_the_hub_does_not_take_counts_as_a_fault_of_the_farm() {
    let farm = Farm::start();
    farm.conn()
        .batch_execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM farm.refuse('conflict', 'not today'); END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON farm.artifact FOR EACH ROW EXECUTE FUNCTION public.refuse()",
        )
        .unwrap();
    let _builder = farm.builder("refused", "");
    let job = farm.job(&[Spec::named("refused").srpm()]).await;
    let first = async || Some(farm.attempts(job, "outcome")).filter(|outcomes| !["", "-"].contains(&outcomes.as_str()));
    let outcomes = eventually("the end of the first attempt", SOON, first).await;
    assert!(outcomes.starts_with("farm_fault"), "{outcomes}");
    assert!(farm.attempts(job, "message").contains("not today"));
}
