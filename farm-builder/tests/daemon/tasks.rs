//! Tasks that come to their end.

use std::net::TcpListener;

use farm_auth::Token;
use farm_db::{operator, testing};
use farm_testing::{Process, Spec, srpm};

use crate::{
    common::{SMALL, platform},
    support::{Farm, leftovers, write_token},
};

#[tokio::test]
async fn a_task_is_built_and_its_results_are_at_the_hub() {
    let farm = Farm::start();
    let _builder = farm.builder("plain", "");
    let job = farm.job(&[srpm("small", SMALL, &[])]).await;
    assert_eq!(farm.ended(job).await, "succeeded");
    assert_eq!(
        farm.artifacts(job),
        "build.log.gz buildroot.json small-1.0-1.mini12.src.rpm small-1.0-1.mini12.x86_64.rpm",
        "{}",
        farm.log(job).await
    );
    assert!(farm.log(job).await.contains("test 'small but real' = 'small but real'"));
    let stages = farm.attempts(job, "(SELECT string_agg(s->>'stage', ',') FROM jsonb_array_elements(stages) s)");
    assert_eq!(stages, "chroot,source,dependencies,prep,build,install,check,collect");
    assert_eq!(farm.attempts(job, "stage"), "upload");
    let marks = farm.attempts(job, "(SELECT string_agg(m->>'stage', ',') FROM jsonb_array_elements(marks) m)");
    assert_eq!(marks, stages);
    let used = "peak_memory_bytes > 1000000 AND cpu_milliseconds > 50 AND written_bytes > 10000";
    assert_eq!(farm.attempts(job, used), "true", "{}", farm.attempts(job, "to_jsonb(attempts)"));
    let record = farm.record(job).await;
    let sources = farm.ask(job, "SELECT encode(digest, 'hex') FROM farm.source WHERE job_id = $1");
    assert_eq!(record.sources[0].digest.to_string(), sources.unwrap());
    assert_eq!(record.stages.iter().map(|time| time.stage.as_str()).collect::<Vec<_>>().join(","), stages);
    assert_eq!(record.usage.cpu_milliseconds.unwrap().to_string(), farm.attempts(job, "cpu_milliseconds"));
}

#[tokio::test]
async fn a_package_that_does_not_build_brings_its_cause_and_the_lines_that_say_why() {
    let farm = Farm::start();
    let _builder = farm.builder("reasons", "");
    let job = farm.job(&[Spec::named("broken").check("echo 'FAIL: adds'; exit 1").srpm()]).await;
    assert_eq!(farm.ended(job).await, "failed");
    assert_eq!(farm.attempts(job, "cause || '/' || stage"), "check/check");
    assert!(farm.attempts(job, "excerpt").contains("FAIL: adds"));
    assert_eq!(farm.artifacts(job), "build.log.gz buildroot.json");
}

#[tokio::test]
async fn a_job_that_may_use_the_network_reaches_what_listens_on_the_host_and_another_does_not() {
    let farm = Farm::start();
    let mut recipe = platform("mini12");
    recipe.network = true;
    operator::put_platform(&mut farm.conn(), &testing::operator(), &recipe).unwrap();
    let right = "network".parse().unwrap();
    operator::set_grant(&mut farm.conn(), &testing::operator(), &right, "alice", true).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reach = format!("(echo > /dev/tcp/127.0.0.1/{})", listener.local_addr().unwrap().port());
    let source = [Spec::named("reacher").build(&reach).srpm()];
    let _builder = farm.builder("reacher", "");
    let jobs = [farm.job_with(&source, |job| job.network = true).await, farm.job(&source).await];
    assert_eq!(farm.ended(jobs[0]).await, "succeeded", "{}", farm.log(jobs[0]).await);
    assert_eq!(farm.ended(jobs[1]).await, "failed", "{}", farm.log(jobs[1]).await);
    assert!(farm.log(jobs[1]).await.contains("Connection refused"));
}

#[tokio::test]
async fn a_job_is_built_with_the_packages_of_an_earlier_task() {
    let farm = Farm::start();
    let _builder = farm.builder("again", "");
    let source = [srpm("small", SMALL, &[])];
    let first = farm.job(&source).await;
    assert_eq!(farm.ended(first).await, "succeeded");
    let task = farm.ask(first, "SELECT id FROM farm.task WHERE job_id = $1").unwrap().parse().unwrap();
    let again = farm.job_with(&source, |new| {
        new.like = Some(task);
        new.targets = "mini12-x86_64".to_owned();
    });
    let again = again.await;
    assert_eq!(farm.ended(again).await, "succeeded", "{}", farm.log(again).await);
    let packages = |record: farm_api::record::BuildRecord| record.buildroots[0].packages.clone();
    assert_eq!(packages(farm.record(again).await), packages(farm.record(first).await));
}

#[tokio::test]
async fn two_tasks_are_built_side_by_side_and_nothing_is_left_on_the_disk() {
    let farm = Farm::start();
    let mut builder = farm.builder("pair", "slots = 2");
    // Each waits for the other, which two builds can only do by taking the same time.
    let (one, two) = (Spec::named("one").build("sleep 2"), Spec::named("two").build("sleep 2"));
    let jobs = [farm.job(&[one.srpm()]).await, farm.job(&[two.srpm()]).await];
    for job in jobs {
        assert_eq!(farm.ended(job).await, "succeeded");
    }
    let overlap = "SELECT max(started_at) < min(finished_at) FROM farm.attempt WHERE $1 > 0";
    assert_eq!(farm.ask(jobs[0], overlap).as_deref(), Some("true"));
    builder.terminate();
    assert_eq!(leftovers("pair"), [""; 0].map(std::path::PathBuf::from));
}

#[tokio::test]
async fn a_source_that_the_store_has_damaged_is_the_farms_fault() {
    let farm = Farm::start();
    let job = farm.job(&[Spec::named("damaged").srpm()]).await;
    damage_all(&farm.store_folder());
    let _builder = farm.builder("fault", "");
    farm_testing::eventually("the fault", crate::support::SOON, async || {
        farm.attempts(job, "outcome").starts_with("farm_fault").then_some(())
    })
    .await;
    assert!(farm.attempts(job, "stage").starts_with("fetch"));
    assert!(farm.attempts(job, "message").contains("did not come whole"), "{}", farm.attempts(job, "message"));
}

fn damage_all(folder: &std::path::Path) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage_all(&path);
        } else {
            let mut bytes = fs_err::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs_err::remove_file(&path).unwrap();
            fs_err::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_builder_that_the_hub_does_not_know_says_so_and_ends() {
    let farm = Farm::start();
    let config = farm.builder_config("stranger", "");
    write_token(&farm.dir.path().join("stranger"), &Token::generate());
    let file = farm.dir.path().join("stranger.toml");
    fs_err::write(&file, config).unwrap();
    let mut command = std::process::Command::new(farm_testing::program("farm-builder", "farm-builder"));
    command.arg("--config").arg(file);
    let mut builder = Process::start("farm-builder", command);
    assert_eq!(builder.wait(crate::support::SOON).code(), Some(1));
    builder.wait_for_log("no builder has this token");
}
