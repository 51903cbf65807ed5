//! Real source packages, good and broken, through a real validator on a real database and store.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use diesel::{
    QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Integer},
};
use farm_api::people::Job;
use farm_db::{PgConnection, intake, read, testing};
use farm_store::{Store, StoreConfig};
use farm_testing::{DEADLINE, TestDb, eventually};
use farm_types::{Digest, JobId, Progress};
use farm_validator::Config;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Integer)]
    n: i32,
}

struct Farm {
    conn: PgConnection,
    store: Store,
    end: CancellationToken,
    validators: Vec<tokio::task::JoinHandle<anyhow::Result<()>>>,
    _db: TestDb,
    _dir: tempfile::TempDir,
}

impl Farm {
    /// Two validators side by side, as a large farm has them.
    fn start() -> Self {
        let (db, dir) = (TestDb::new(), tempfile::tempdir().unwrap());
        let (store, spool) = (StoreConfig::Folder { path: dir.path().join("store") }, dir.path().join("spool"));
        let end = CancellationToken::new();
        let validator = || {
            let text = format!(
                "database = '{}'\nspool = '{}'\n[store]\nkind = 'folder'\npath = '{}'",
                db.url_as("farm_validator"),
                spool.display(),
                dir.path().join("store").display()
            );
            let config: Config = toml::from_str(&text).unwrap();
            tokio::spawn(farm_validator::run(config, end.clone()))
        };
        let validators = vec![validator(), validator()];
        let mut conn = db.connect();
        testing::platform(&mut conn, "f13-x86_64");
        testing::platform(&mut conn, "sl5-i686");
        let store = Store::open(&store, &spool).unwrap();
        Self { conn, store, end, validators, _db: db, _dir: dir }
    }

    async fn submit(&mut self, targets: &str, name: &str, bytes: &[u8]) -> JobId {
        let digest = Digest::from_bytes(Sha256::digest(bytes).into());
        let size = bytes.len() as u64;
        let body = futures::stream::iter([Ok::<_, std::io::Error>(bytes.to_vec().into())]);
        self.store.put_stream(&digest, size, body).await.unwrap();
        testing::brought(&mut self.conn, "alice", &digest, size);
        let mut submission = testing::submission(&mut self.conn, "alice");
        submission.targets = targets.to_owned();
        submission.sources = vec![(name.to_owned(), digest)];
        intake::submit(&mut self.conn, &submission).unwrap().0
    }

    async fn decision(&mut self, id: JobId) -> Job {
        eventually(&format!("a decision on job {id}"), DEADLINE, async || {
            read::job(&mut self.conn, farm_db::Viewer::ANYBODY, id)
                .ok()
                .filter(|job| job.progress != Progress::Submitted)
        })
        .await
    }

    async fn decide(&mut self, targets: &str, file: &Path) -> Job {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let id = self.submit(targets, &name, &fs_err::read(file).unwrap()).await;
        self.decision(id).await
    }

    async fn end(self) {
        self.end.cancel();
        for validator in self.validators {
            validator.await.unwrap().unwrap();
        }
    }
}

/// Other people's packages, in a folder beside the checkout.
fn packages(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/srpms").join(folder);
    let Ok(entries) = fs_err::read_dir(&folder) else {
        eprintln!("SKIPPED: there are no real packages in {}", folder.display());
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn codes(job: &Job) -> Vec<&str> {
    job.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_good_package_is_accepted_or_refused_for_a_stated_reason() {
    let mut farm = Farm::start();
    for file in packages("good") {
        let job = farm.decide("f13-x86_64", &file).await;
        match job.progress {
            Progress::Queued => assert_eq!(job.total, 1, "{}", file.display()),
            Progress::Rejected => {
                let known = ["no_spec", "several_specs", "sources_missing"];
                assert!(codes(&job).iter().all(|code| known.contains(code)), "{}: {:?}", file.display(), job.reasons);
            }
            other => panic!("{} is {other}", file.display()),
        }
    }
    farm.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_package_is_refused_and_the_reason_names_the_file() {
    let mut farm = Farm::start();
    for file in packages("bad") {
        let job = farm.decide("f13-x86_64", &file).await;
        assert_eq!(job.progress, Progress::Rejected, "{}", file.display());
        assert!(job.tasks.is_empty());
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(job.reasons.iter().all(|reason| reason.message.contains(&name)), "{:?}", job.reasons);
    }
    farm.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_and_an_unknown_target_are_told_at_once() {
    let mut farm = Farm::start();
    let id = farm.submit("f13,nowhere", "empty.src.rpm", b"").await;
    let job = farm.decision(id).await;
    assert_eq!(codes(&job), ["empty", "unknown_target"]);
    farm.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_bytes_cannot_be_read_stays_submitted_for_another_try() {
    let mut farm = Farm::start();
    let digest = Digest::from_bytes(Sha256::digest(b"bytes that the store never had").into());
    testing::brought(&mut farm.conn, "alice", &digest, 30);
    let mut submission = testing::submission(&mut farm.conn, "alice");
    submission.sources = vec![("lost.src.rpm".to_owned(), digest)];
    let (id, _) = intake::submit(&mut farm.conn, &submission).unwrap();
    eventually("a try that fails", DEADLINE, async || {
        let tries = "SELECT tries AS n FROM farm.job WHERE id = $1";
        let row: Count = sql_query(tries).bind::<BigInt, _>(id.0).get_result(&mut farm.conn).unwrap();
        (row.n > 0).then_some(())
    })
    .await;
    assert_eq!(read::job(&mut farm.conn, farm_db::Viewer::ANYBODY, id).unwrap().progress, Progress::Submitted);
    farm.end().await;
}
