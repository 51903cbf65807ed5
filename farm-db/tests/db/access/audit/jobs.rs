//! What becomes of jobs.

use farm_api::{
    hub::{Finish, NewArtifact},
    options::BuildOptions,
};
use farm_db::{
    blobs,
    intake::{self, Decided, Decision, ReadSource, Submission},
    publish::{self, Repository},
    queue, testing,
};
use farm_types::{ArtifactKind, Digest, JobId, Outcome, Way};

use super::{
    Farm,
    builders::{builder, living_builder},
    person,
};
use crate::support::{PLATFORM, execute, expire_leases};

pub fn submission(source: Digest) -> Submission {
    Submission {
        actor: person("alice", Way::Token),
        key: uuid::Uuid::new_v4().to_string().parse().unwrap(),
        request: testing::digest(),
        title: String::new(),
        bucket: "scratch".parse().unwrap(),
        class: farm_types::Class::Normal,
        targets: "auto".to_owned(),
        timeout_seconds: None,
        after: None,
        network: false,
        like: None,
        options: BuildOptions { check: false, ..Default::default() },
        sources: vec![("a.src.rpm".to_owned(), source)],
    }
}

pub fn submit(farm: &mut Farm) -> JobId {
    submit_after(farm, None)
}

pub fn submit_after(farm: &mut Farm, after: Option<JobId>) -> JobId {
    let new = Submission { after, ..submission(Digest::from_bytes([1; 32])) };
    let (job, _) = intake::submit(&mut farm.web, &new).unwrap();
    // Sent again, it is nothing new.
    assert_eq!(intake::submit(&mut farm.web, &new).unwrap(), (job, false));
    job
}

pub fn decide(farm: &mut Farm, job: JobId, decision: Decision) {
    let decided = intake::decide_next(&mut farm.validator, |_, _| Some(decision)).unwrap();
    assert_eq!(decided, Decided::Done(job));
}

pub fn accept(farm: &mut Farm, job: JobId) {
    let source =
        ReadSource { position: 1, name: "a".to_owned(), epoch: None, version: "1".to_owned(), release: "1".to_owned() };
    let platforms = vec![PLATFORM.parse().unwrap()];
    decide(farm, job, Decision::Accept { sources: vec![source], platforms, warnings: Vec::new() });
}

pub fn a_job_is_built_and_published(farm: &mut Farm) {
    let (alice, source) = (person("alice", Way::Token), Digest::from_bytes([1; 32]));
    let upload = blobs::begin_upload(&mut farm.web, &alice, &source, 1).unwrap();
    assert_eq!(blobs::begin_upload(&mut farm.web, &alice, &source, 1).unwrap(), upload);
    blobs::end_upload(&mut farm.web, &alice, upload).unwrap();
    let job = submit(farm);
    accept(farm, job);
    let builder = builder(farm).restarted(&mut farm.hub);
    let key = builder.claim_one(&mut farm.hub);
    queue::deliver(&mut farm.hub, builder.id, &key, &source, 1).unwrap();
    let name = "buildroot.json".parse().unwrap();
    let record = NewArtifact { kind: ArtifactKind::Manifest, name, digest: source, size: 1 };
    let end = Finish { artifacts: vec![record], ..testing::ended(Outcome::Succeeded) };
    for _ in 0..2 {
        // The answer was lost, so the end comes twice.
        queue::finish(&mut farm.hub, builder.id, &key, &end).unwrap();
    }
    let repository = Repository { bucket: "scratch".parse().unwrap(), platform: PLATFORM.parse().unwrap() };
    let contents = publish::contents(&mut farm.publisher, &repository).unwrap().unwrap();
    publish::published(&mut farm.publisher, &repository, &contents.reasons, 0).unwrap();
    publish::publish_again(&mut farm.publisher, &repository).unwrap();
}

pub fn a_job_is_turned_down(farm: &mut Farm) {
    let source = Digest::from_bytes([1; 32]);
    let like = Some(farm_types::TaskId(1));
    let new = intake::Submission { like, targets: PLATFORM.to_owned(), ..submission(source) };
    let (job, _) = intake::submit(&mut farm.web, &new).unwrap();
    assert_eq!(intake::submit(&mut farm.web, &new).unwrap(), (job, false));
    let reason = farm_api::error::Reason { code: "bad".to_owned(), source: None, message: "it is bad".to_owned() };
    decide(farm, job, Decision::Reject(vec![reason]));
}

pub fn a_job_is_given_back_lost_and_cancelled(farm: &mut Farm) {
    let job = submit(farm);
    accept(farm, job);
    let builder = living_builder(farm);
    let key = builder.claim_one(&mut farm.hub);
    queue::release(&mut farm.hub, builder.id, &key, "it has to go").unwrap();
    assert_eq!(queue::cancel_job(&mut farm.web, &person("alice", Way::Token), job).unwrap(), 1);
    // What changes nothing is nothing to write down.
    assert_eq!(queue::cancel_job(&mut farm.web, &person("alice", Way::Token), job).unwrap(), 0);
    assert_eq!(queue::retry_job(&mut farm.operator, &testing::operator(), job, false).unwrap(), 1);
    let lost = builder.claim_one(&mut farm.hub);
    queue::append_log(&mut farm.hub, builder.id, &lost, 0, 1, b"x").unwrap();
    expire_leases(&mut farm.operator);
    assert_eq!(queue::reap(&mut farm.janitor, 0).unwrap(), 1);
    execute(&mut farm.operator, "UPDATE farm.builder SET last_seen_at = now()");
    assert_eq!(queue::cancel_job(&mut farm.web, &person("boss", Way::Session), job).unwrap(), 1);
    let log = queue::UnsealedLog { task: lost.task, attempt: lost.attempt };
    queue::seal_log(&mut farm.janitor, &log, &testing::digest(), 1).unwrap();
}

pub fn jobs_come_after_others(farm: &mut Farm) {
    let mut before = None;
    for _ in 0..3 {
        let job = submit_after(farm, before);
        accept(farm, job);
        before = Some(job);
    }
    let builder = living_builder(farm);
    for outcome in [Outcome::Succeeded, Outcome::Failed] {
        let key = builder.claim_one(&mut farm.hub);
        builder.finish(&mut farm.hub, &key, outcome).unwrap();
    }
}
