//! What is kept, for how long.

use diesel::{RunQueryDsl as _, sql_query};
use farm_api::people::Keep;
use farm_db::{
    Viewer, blobs as uploads, operator, publish, queue,
    read::{self},
    testing::{self, TestBuilder},
};
use farm_janitor::chores::{blobs, files, retention};
use farm_types::{JobId, Outcome};

use crate::support::{Built, Farm, PLATFORM};

impl Farm {
    /// With a builder, and bounds for a bucket.
    fn keeping(bucket: &str, keep: Keep) -> (Self, TestBuilder) {
        let mut farm = Self::new();
        testing::platform(&mut farm.conn, PLATFORM);
        let builder = testing::builder(&mut farm.conn, "b1");
        let none = Keep { days: Some(0), builds: Some(0), bytes: Some(0), bytes_each: Some(0) };
        for keep in [none, keep] {
            operator::set_retention(&mut farm.conn, &testing::operator(), &bucket.parse().unwrap(), &keep).unwrap();
        }
        (farm, builder)
    }

    /// The jobs whose files are there, after the chore was done.
    async fn kept(&mut self, jobs: &[JobId]) -> Vec<JobId> {
        let said = retention::preview(self.tools.clone()).await.unwrap();
        let done = retention::run_once(self.tools.clone()).await.unwrap().done;
        assert_eq!(said.len() as u64, done, "it did not do what it had said: {said:?}");
        self.assert_sound();
        let has_files = |job: &&JobId| read::job(&mut self.conn, Viewer::ANYBODY, **job).unwrap().gone.is_none();
        jobs.iter().filter(has_files).copied().collect()
    }

    fn count(&mut self, from: &str) -> usize {
        sql_query(format!("SELECT FROM {from}")).execute(&mut self.conn).unwrap()
    }
}

#[tokio::test]
async fn the_files_of_an_old_job_go_and_its_page_says_why() {
    let (mut farm, builder) = Farm::keeping("scratch", Keep { days: Some(30), ..Keep::default() });
    let old = farm.built(builder, &Built { days: 31, ..Built::default() }).await;
    let failed = farm.built(builder, &Built { days: 31, outcome: Outcome::Failed, ..Built::default() }).await;
    let new = farm.built(builder, &Built { days: 29, ..Built::default() }).await;
    let before = read::job(&mut farm.conn, Viewer::ANYBODY, old).unwrap();
    assert_eq!(farm.kept(&[old, failed, new]).await, [new]);

    let job = read::job(&mut farm.db.connect_as("farm_web"), Viewer::ANYBODY, old).unwrap();
    let gone = job.gone.unwrap();
    assert_eq!(gone.why, "the bucket “scratch” keeps files for 30 days");
    let task = &before.tasks[0];
    let sizes = before.sources[0].size + task.artifacts.iter().map(|artifact| artifact.size).sum::<i64>();
    assert_eq!(gone.bytes, sizes);
    assert!(job.tasks[0].artifacts.is_empty());
    assert_eq!((job.sources[0].digest, job.sources[0].size), (before.sources[0].digest, before.sources[0].size));
    let log = read::log_place(&mut farm.conn, Viewer::ANYBODY, task.id, None).unwrap().unwrap();
    assert_eq!((log.blob, log.size), (None, 0));
    assert_eq!(
        farm.count(&format!("farm.job WHERE id = {old} AND bytes = 0")),
        1,
        "it still counts against its person"
    );
}

#[tokio::test]
async fn what_is_gone_is_out_of_the_repository_and_cannot_be_built_again() {
    let (mut farm, builder) = Farm::keeping("scratch", Keep { days: Some(30), ..Keep::default() });
    let failed = farm.built(builder, &Built { days: 31, outcome: Outcome::Failed, ..Built::default() }).await;
    let old = farm.built(builder, &Built { days: 31, ..Built::default() }).await;
    let new = farm.built(builder, &Built::default()).await;
    let repository = publish::Repository { bucket: "scratch".parse().unwrap(), platform: PLATFORM.parse().unwrap() };
    let contents = publish::contents(&mut farm.conn, &repository).unwrap().unwrap();
    assert_eq!(contents.packages.len(), 2);
    publish::published(&mut farm.conn, &repository, &contents.reasons, 2).unwrap();
    assert_eq!(farm.kept(&[failed, old, new]).await, [new]);

    let contents = publish::contents(&mut farm.conn, &repository).unwrap().expect("it has to be published again");
    let names: Vec<_> = contents.packages.iter().map(|package| package.name.to_string()).collect();
    assert_eq!(names, [format!("hello-{new}.rpm")]);
    let refusal = queue::retry_job(&mut farm.conn, &testing::person("alice"), failed, false).unwrap_err().to_string();
    assert!(refusal.contains("the bucket “scratch” keeps files for 30 days); hand them in again"), "{refusal}");
}

#[tokio::test]
async fn of_each_package_the_last_builds_stay_those_that_failed_apart() {
    let (mut farm, builder) = Farm::keeping("scratch", Keep { builds: Some(2), ..Keep::default() });
    let mut built = Vec::new();
    for (package, outcome) in [
        ("a", Outcome::Succeeded),
        ("a", Outcome::Failed),
        ("b", Outcome::Succeeded),
        ("a", Outcome::Succeeded),
        ("a", Outcome::Failed),
        ("a", Outcome::Failed),
        ("a", Outcome::Succeeded),
    ] {
        built.push(farm.built(builder, &Built { package, outcome, ..Built::default() }).await);
    }
    assert_eq!(farm.kept(&built).await, built[2..]);
}

#[tokio::test]
async fn the_newest_stay_up_to_so_many_bytes_of_all_or_of_each_person() {
    let each = Keep { bytes_each: Some(2500), ..Keep::default() };
    let (mut farm, builder) = Farm::keeping("scratch", each);
    let mut built = Vec::new();
    for (person, days) in [("alice", 5), ("alice", 4), ("bob", 6), ("alice", 3)] {
        built.push(farm.built(builder, &Built { person, days, bytes: 1000, ..Built::default() }).await);
    }
    assert_eq!(farm.kept(&built).await, built[1..], "the oldest of alice is too much");
    let all = Keep { bytes: Some(2500), ..Keep::default() };
    operator::set_retention(&mut farm.conn, &testing::operator(), &"scratch".parse().unwrap(), &all).unwrap();
    assert_eq!(farm.kept(&built).await, [built[1], built[3]], "the oldest of all is bob's");
}

#[tokio::test]
async fn what_ended_within_a_day_stays_and_what_an_open_job_comes_after() {
    let (mut farm, builder) = Farm::keeping("scratch", Keep { bytes: Some(1), ..Keep::default() });
    let needed = farm.built(builder, &Built { days: 9, ..Built::default() }).await;
    let fresh = farm.built(builder, &Built { days: 0, ..Built::default() }).await;
    let next = testing::submitted(&mut farm.conn, Some(needed));
    assert_eq!(farm.kept(&[needed, fresh]).await, [needed, fresh]);
    queue::cancel_job(&mut farm.conn, &testing::operator(), next).unwrap();
    assert_eq!(farm.kept(&[needed, fresh]).await, [fresh]);
}

#[tokio::test]
async fn a_job_that_is_built_again_in_this_moment_keeps_its_files_or_is_refused() {
    let (mut farm, builder) = Farm::keeping("scratch", Keep { days: Some(1), ..Keep::default() });
    for _ in 0..10 {
        let job = farm.built(builder, &Built { outcome: Outcome::Failed, ..Built::default() }).await;
        let (db, tools) = (farm.db.url(), farm.tools.clone());
        let retry = tokio::task::spawn_blocking(move || {
            let mut conn = farm_db::pool::connect(&db).unwrap();
            queue::retry_job(&mut conn, &testing::person("alice"), job, false).is_ok()
        });
        let (retried, removed) = tokio::join!(retry, retention::run_once(tools));
        let (retried, removed) = (retried.unwrap(), removed.unwrap().done == 1);
        assert!(retried != removed, "retried: {retried}, removed: {removed}");
        farm.assert_sound();
        queue::cancel_job(&mut farm.conn, &testing::operator(), job).unwrap();
        farm.pass(&format!("UPDATE farm.job SET bucket = 'selftest' WHERE id = {job}"));
    }
}

#[tokio::test]
async fn bytes_that_nobody_needs_go_after_the_grace_and_all_others_stay() {
    let (mut farm, builder) = Farm::keeping("scratch", Keep { days: Some(30), ..Keep::default() });
    let old = farm.built(builder, &Built { days: 31, ..Built::default() }).await;
    let new = farm.built(builder, &Built::default()).await;
    let artifact = |farm: &mut Farm, job| {
        let job = read::job(&mut farm.conn, Viewer::ANYBODY, job).unwrap();
        job.tasks[0].artifacts.iter().find(|artifact| artifact.name.to_string().ends_with("rpm")).unwrap().digest
    };
    let (of_old, of_new) = (artifact(&mut farm, old), artifact(&mut farm, new));
    farm.kept(&[]).await;
    assert_eq!(blobs::run_once(farm.tools.clone()).await.unwrap().done, 0, "they were marked just now");
    farm.pass("UPDATE farm.blob SET unowned_since = unowned_since - interval '25 hours'");
    assert_eq!(blobs::run_once(farm.tools.clone()).await.unwrap().done, 1, "its log is also that of the other");
    assert!(!farm.tools.store.exists(&of_old).await.unwrap());
    assert!(farm.tools.store.exists(&of_new).await.unwrap());
    farm.assert_sound();
}

#[tokio::test]
async fn what_the_store_has_and_the_farm_knows_nothing_about_goes_once_it_is_old() {
    let mut farm = Farm::new();
    let stray = farm.put(b"a daemon was killed before it could say so").await;
    let known = farm.put(b"somebody brought this").await;
    testing::brought(&mut farm.conn, "alice", &known, 21);
    assert_eq!(blobs::run_once(farm.tools.clone()).await.unwrap().done, 0);
    farm.tools.config.chores.blob_grace_seconds = 0;
    assert_eq!(blobs::run_once(farm.tools.clone()).await.unwrap().done, 1);
    assert!(!farm.tools.store.exists(&stray).await.unwrap());
    assert!(farm.tools.store.exists(&known).await.unwrap());
}

#[tokio::test]
async fn a_file_that_was_brought_and_not_built_is_forgotten_unless_it_is_asked_for() {
    let mut farm = Farm::new();
    let (idle, asked) = (farm.put(b"idle").await, farm.put(b"asked for").await);
    testing::brought(&mut farm.conn, "alice", &idle, 4);
    testing::brought(&mut farm.conn, "alice", &asked, 9);
    farm.pass("UPDATE farm.brought SET touched_at = now() - interval '8 days'");
    assert_eq!(uploads::known(&mut farm.conn, &testing::person("alice"), &asked).unwrap(), Some(9));
    assert_eq!(files::run_once(farm.tools.clone()).await.unwrap().done, 1);
    assert_eq!(uploads::known(&mut farm.conn, &testing::person("alice"), &idle).unwrap(), None);
    assert_eq!(uploads::known(&mut farm.conn, &testing::person("alice"), &asked).unwrap(), Some(9));
}

#[tokio::test]
async fn when_bytes_cannot_be_removed_their_blob_stays_for_the_next_time() {
    let mut farm = Farm::new();
    let digest = farm.put(b"stays").await;
    farm.pass(&format!(
        "INSERT INTO farm.blob (digest, size, unowned_since) VALUES ('\\x{digest}', 5, now() - interval '1 day')"
    ));
    let first = digest.as_bytes()[0];
    let error = farm_db::chores::sweep_blobs(&mut farm.conn, first, 0, 10, |_| Err("the store is away".to_owned()));
    assert!(error.unwrap_err().to_string().contains("could not be removed: the store is away"));
    assert_eq!(farm.count("farm.blob"), 1);
}
