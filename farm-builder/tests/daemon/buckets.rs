//! Builds that install what an earlier job has brought into a bucket.

use farm_db::{operator, testing};
use farm_testing::{Process, Spec, srpm};
use farm_types::BucketName;

use crate::{common::SMALL, support::Farm};

/// Makes repositories of what is built.
fn publisher(farm: &Farm) -> Process {
    let config = format!(
        "database = '{}'\nspool = '{}'\nrepositories = '{}'\nsettle_milliseconds = 1500\n[store]\nkind = 'folder'\npath = '{}'\n",
        farm.db.url_as("farm_publisher"),
        farm.dir.path().join("publisher").display(),
        farm.repositories().display(),
        farm.store_folder().display(),
    );
    Process::daemon("farm-publisher", &config)
}

/// A bucket that only alice sees.
fn closed(farm: &Farm) -> BucketName {
    let (name, operator) = ("closed".parse::<BucketName>().unwrap(), testing::operator());
    operator::put_bucket(&mut farm.conn(), &operator, &name, None, Some(false)).unwrap();
    operator::set_grant(&mut farm.conn(), &operator, &"own:closed".parse().unwrap(), "alice", true).unwrap();
    name
}

#[tokio::test]
async fn a_job_builds_with_what_the_job_before_it_brought_into_a_bucket_that_only_its_person_sees() {
    let farm = Farm::start();
    let closed = closed(&farm);
    let _publisher = publisher(&farm);
    let _builder = farm.builder("chain", "");
    let first = farm.job_with(&[srpm("small", SMALL, &[])], |job| job.bucket = closed.clone()).await;
    let user = [Spec::named("user").line("BuildRequires: small").build("/usr/bin/small").srpm()];
    assert_eq!(farm.ended(first).await, "succeeded");
    // It begins the moment that the first has ended, and so before that is published.
    let second = farm.job_with(&user, |job| job.options.buckets = vec![closed.clone()]).await;
    let without = farm.job(&user).await;
    assert_eq!(farm.ended(second).await, "succeeded", "{}", farm.log(second).await);
    let log = farm.log(second).await;
    assert!(log.contains("[farm] packages also come from farm-bucket-closed\n"), "{log}");
    assert!(log.contains("small but real"), "{log}");
    // What dnf was told is nothing that a log should show.
    assert!(!log.contains("http://127.0.0.1:"), "{log}");
    assert_eq!(farm.ended(without).await, "failed");
    assert!(farm.attempts(without, "message").contains("cannot provide: small"));
}

#[tokio::test]
async fn a_bucket_that_has_nothing_for_the_platform_is_told_of_and_left_out() {
    let farm = Farm::start();
    let _builder = farm.builder("empty", "");
    let job = farm.job_with(&[Spec::named("alone").srpm()], |job| job.options.buckets = vec![job.bucket.clone()]).await;
    assert_eq!(farm.ended(job).await, "succeeded", "{}", farm.log(job).await);
    let log = farm.log(job).await;
    assert!(log.contains("[farm] the bucket scratch has no packages for mini12-x86_64 yet\n"), "{log}");
}

#[tokio::test]
async fn what_a_job_asks_of_its_builds_and_the_lowest_limit_reach_the_build() {
    let farm = Farm::start();
    let _builder = farm.builder("asked", "");
    let fails = [Spec::named("checked").check("exit 1").srpm()];
    let job = farm.job_with(&fails, |job| job.options.check = false).await;
    assert_eq!(farm.ended(job).await, "succeeded", "{}", farm.log(job).await);
    let limits = farm_api::limits::Limits { log_bytes: Some(20_000), ..Default::default() };
    operator::put_build_limits(&mut farm.conn(), &testing::operator(), Some("alice"), &limits).unwrap();
    let talks = [Spec::named("talker").build("for n in {1..9999}; do echo a line of some length $n; done").srpm()];
    let job = farm.job_with(&talks, |job| job.options.limits.log_bytes = Some(1 << 30)).await;
    assert_eq!(farm.ended(job).await, "failed");
    assert_eq!(farm.attempts(job, "cause"), "output_too_large");
    assert!(farm.attempts(job, "message").contains("20000 bytes"), "{}", farm.attempts(job, "message"));
}
