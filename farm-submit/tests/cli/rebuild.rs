//! `farm rebuild`.

use farm_types::TaskId;

use super::{
    program, run,
    server::{Farm, Server},
    things::{job, succeeded},
};

fn farm() -> Server {
    let built = job(42, vec![succeeded(7, "f13-x86_64", &[]), succeeded(8, "f14-x86_64", &[])]);
    // The sources are at the farm; on this machine there is nothing.
    let blobs = built.sources.iter().map(|source| (source.digest, Vec::new())).collect();
    Server::start(Farm { jobs: [(42, built)].into(), blobs, ..Farm::default() })
}

#[test]
fn a_task_is_built_again_from_the_sources_that_the_farm_has_on_its_platform_alone() {
    let server = farm();
    let arguments = ["rebuild", "42:f14", "--no-wait", "--bucket", "compare"];
    let ran = run(program("farm", &server.url).args(arguments)).ended(0);
    assert!(ran.stdout.starts_with("Job 1: http://"), "{}", ran.stdout);
    let farm = server.farm();
    let new = &farm.submitted[0];
    assert_eq!((new.like, new.targets.as_slice()), (Some(TaskId(8)), ["f14-x86_64".to_owned()].as_slice()));
    assert_eq!(new.sources[0].digest, farm.jobs[&42].sources[0].digest);
    assert_eq!(new.bucket.as_ref().map(|bucket| bucket.as_str()), Some("compare"));
}

#[test]
fn which_task_is_meant_has_to_be_said() {
    let server = farm();
    let ran = run(program("farm", &server.url).args(["rebuild", "42"]));
    assert!(ran.stderr.contains("42:f13-x86_64") && ran.stderr.contains("42:f14-x86_64"), "{}", ran.stderr);
    assert!(server.farm().submitted.is_empty());
}
