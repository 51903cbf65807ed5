//! A hub that is away.

use diesel::connection::SimpleConnection as _;
use farm_testing::{Process, Spec, eventually};

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
async fn a_hub_that_is_away_for_longer_than_a_lease_costs_no_build() {
    let mut farm = Farm::with_leases(6, 2);
    let _janitor = farm.janitor();
    let builder = farm.builder("survivor", "");
    let job = farm.job(&[Spec::named("survivor").build("echo ready; sleep 3; echo survived").srpm()]).await;
    farm.logged(job, "ready").await;
    farm.hub.kill();
    builder.wait_for_log("bringing a result has to wait");
    let run_out = "SELECT task_id FROM farm.lease WHERE expires_at < now() - interval '3 seconds' AND $1 > 0";
    eventually("the lease to have run out", SOON, async || farm.ask(job, run_out)).await;
    assert_eq!(farm.attempts(job, "outcome"), "-", "it was taken back");
    farm.restart_hub();
    assert_eq!(farm.ended(job).await, "succeeded");
    assert_eq!(farm.attempts(job, "outcome"), "succeeded");
    assert!(farm.log(job).await.contains("survived"));
}

#[tokio::test]
async fn a_builder_that_does_not_come_back_with_the_hub_loses_its_lease() {
    let mut farm = Farm::with_leases(4, 1);
    let _janitor = farm.janitor();
    let mut builder = farm.builder("gone", "");
    let job = farm.job(&[Spec::named("gone").build("echo ready; sleep 1000").srpm()]).await;
    farm.logged(job, "ready").await;
    farm.hub.kill();
    builder.kill();
    let run_out = "SELECT task_id FROM farm.lease WHERE expires_at < now() AND $1 > 0";
    eventually("the lease to have run out", SOON, async || farm.ask(job, run_out)).await;
    assert_eq!(farm.attempts(job, "outcome"), "-");
    farm.restart_hub();
    let lost = async || (farm.attempts(job, "outcome") == "lost").then_some(());
    eventually("the lease to be taken back", SOON, lost).await;
}

#[tokio::test]
async fn a_builder_that_knows_several_hubs_goes_to_the_next_one_when_one_is_away() {
    let mut farm = Farm::start();
    let second = farm.second_hub();
    let hubs = format!("['{}', '{}']", farm.hub.url("/"), second.url("/"));
    let builder = Process::daemon("farm-builder", &farm.builder_config_at(&hubs, "several", ""));
    let job = farm.job(&[Spec::named("several").build("echo ready; sleep 3").srpm()]).await;
    farm.logged(job, "ready").await;
    farm.hub.kill();
    assert_eq!(farm.ended(job).await, "succeeded");
    assert_eq!(farm.attempts(job, "outcome"), "succeeded");
    builder.wait_for_log("a hub is away: the next one is called");
}

#[tokio::test]
async fn a_hub_that_hangs_costs_no_build_where_there_is_another() {
    let farm = Farm::with_leases(12, 4);
    let second = farm.second_hub();
    let _janitor = farm.janitor();
    let hubs = format!("['{}', '{}']", farm.hub.url("/"), second.url("/"));
    let builder = Process::daemon("farm-builder", &farm.builder_config_at(&hubs, "hung", ""));
    let job = farm.job(&[Spec::named("hung").build("echo ready; sleep 20").srpm()]).await;
    farm.logged(job, "ready").await;
    farm.hub.pause();
    builder.wait_for_log("a hub is away: the next one is called");
    assert_eq!(farm.ended(job).await, "succeeded");
    assert_eq!(farm.attempts(job, "outcome"), "succeeded");
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
