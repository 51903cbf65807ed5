//! Jobs that are built with what the jobs before them made.

use farm_db::{intake, testing};
use farm_testing::Spec;
use farm_types::JobId;

use crate::support::Farm;

fn after(job: JobId) -> impl FnOnce(&mut intake::Submission) {
    move |new| new.after = Some(job)
}

#[tokio::test]
async fn each_job_of_a_chain_sees_what_all_before_it_made_and_the_record_names_it() {
    let farm = Farm::start();
    let _builder = farm.builder("links", "");
    let says = |name: &str| format!("grep -h built /usr/share/{name}/greeting");
    let first = farm.job(&[Spec::named("chain-a").srpm()]).await;
    let b = [Spec::named("chain-b").line("BuildRequires: chain-a").build(&says("chain-a")).srpm()];
    let second = farm.job_with(&b, after(first)).await;
    let c = Spec::named("chain-c").line("BuildRequires: chain-a").line("BuildRequires: chain-b");
    let third = farm.job_with(&[c.build(&says("chain-b")).srpm()], after(second)).await;
    for job in [first, second, third] {
        assert_eq!(farm.ended(job).await, "succeeded", "{}", farm.log(job).await);
    }
    let log = farm.log(third).await;
    let told = format!(
        "this job comes after job {first}, job {second}: the 2 packages that were made there can be installed\n"
    );
    assert!(log.contains(&told) && log.contains("built by the farm"), "{log}");
    let record = farm.record(third).await;
    let before: Vec<_> = record.predecessors.iter().map(|package| (package.name.as_str(), package.job)).collect();
    assert_eq!(before, [("chain-a-1-1.noarch.rpm", first), ("chain-b-1-1.noarch.rpm", second)]);
    let installed = record.buildroots[0].packages.iter().filter(|package| package.name.starts_with("chain-"));
    let origins: Vec<_> = installed.map(|package| package.repository.as_deref()).collect();
    assert_eq!(origins, [Some("farm-results"), Some("farm-results")]);
}

#[tokio::test]
async fn what_a_job_before_made_goes_into_no_layer_that_others_see() {
    let farm = Farm::start();
    let _builder = farm.builder("apart", "");
    let user = || Spec::named("wants").line("BuildRequires: chain-secret").srpm();
    let first = farm.job(&[Spec::named("chain-secret").srpm()]).await;
    let second = farm.job_with(&[user()], after(first)).await;
    assert_eq!(farm.ended(second).await, "succeeded", "{}", farm.log(second).await);
    // The same wish of somebody else, on the same tree.
    let alone = farm.job(&[user()]).await;
    assert_eq!(farm.ended(alone).await, "failed");
    assert!(farm.attempts(alone, "message").contains("cannot provide: chain-secret"));
}

#[tokio::test]
async fn a_job_of_a_chain_is_built_again_with_what_the_jobs_before_it_made() {
    let farm = Farm::start();
    let _builder = farm.builder("again", "");
    let first = farm.job(&[Spec::named("chain-again").srpm()]).await;
    let user = [Spec::named("rebuilt").line("BuildRequires: chain-again").srpm()];
    let second = farm.job_with(&user, after(first)).await;
    assert_eq!(farm.ended(second).await, "succeeded", "{}", farm.log(second).await);
    let task = farm.ask(second, "SELECT id FROM farm.task WHERE job_id = $1").unwrap().parse().unwrap();
    let rebuilt = farm
        .job_with(&user, |job| {
            job.after = Some(first);
            job.like = Some(farm_types::TaskId(task));
            job.targets = "mini12-x86_64".to_owned();
        })
        .await;
    assert_eq!(farm.ended(rebuilt).await, "succeeded", "{}", farm.log(rebuilt).await);
}

#[tokio::test]
async fn a_job_whose_person_does_not_see_the_job_before_any_more_fails_and_says_so() {
    let farm = Farm::start();
    let first = farm.job(&[Spec::named("chain-hidden").srpm()]).await;
    let bob = |new: &mut intake::Submission| {
        new.actor = testing::person("bob");
        new.after = Some(first);
    };
    let source = [Spec::named("curious").srpm()];
    for path in &source {
        let bytes = fs_err::read(path).unwrap();
        testing::brought(&mut farm.conn(), "bob", &crate::support::sha256(&bytes), bytes.len() as u64);
    }
    let second = farm.job_with(&source, bob).await;
    let scratch = "scratch".parse().unwrap();
    farm_db::operator::put_bucket(&mut farm.conn(), &testing::operator(), &scratch, None, Some(false)).unwrap();
    let _builder = farm.builder("strict", "");
    assert_eq!(farm.ended(first).await, "succeeded");
    assert_eq!(farm.ended(second).await, "failed");
    let why = farm.attempts(second, "message");
    assert!(why.contains(&format!("what came of job {first}")) && why.contains("is not for everybody to see"), "{why}");
}
