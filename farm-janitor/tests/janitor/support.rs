//! What these tests share.

use bytes::Bytes;
use farm_api::hub::{Finish, NewArtifact};
use farm_db::{
    PgConnection, intake, queue,
    testing::{self, TestBuilder},
};
use farm_janitor::{Chores, Config, chores::Tools};
use farm_store::{Store, StoreConfig};
use farm_testing::TestDb;
use farm_types::{ArtifactKind, Digest, JobId, LeaseKey, Outcome};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A database, a store, and what the chores work with.
pub struct Farm {
    pub db: TestDb,
    pub conn: PgConnection,
    pub tools: Tools,
    _dir: TempDir,
}

impl Farm {
    /// With a store in a folder. Each chore runs with the janitor's own rights.
    pub fn new() -> Self {
        Self::on(|dir| StoreConfig::Folder { path: dir.path().join("store") })
    }

    /// With that store, given a folder of the test's own.
    pub fn on(store: impl FnOnce(&TempDir) -> StoreConfig) -> Self {
        let (db, dir) = (TestDb::new(), tempfile::tempdir().unwrap());
        let store = store(&dir);
        let config = Config {
            database: db.url_as("farm_janitor"),
            connection_max_age_seconds: 600,
            kerberos: farm_daemon::KerberosConfig::default(),
            store,
            spool: dir.path().join("spool"),
            reap_seconds: 5,
            reap_grace_seconds: 5,
            settle_seconds: 1,
            seal_seconds: 30,
            upload_idle_seconds: 3600,
            chores: Chores::default(),
            mail: None,
            metrics: None,
            log: farm_daemon::LogConfig::default(),
        };
        let tools = Tools::open(&config).unwrap();
        Self { conn: db.connect(), db, tools, _dir: dir }
    }

    /// A task in the hands of a builder.
    pub fn leased(&mut self) -> (testing::TestBuilder, LeaseKey) {
        testing::platform(&mut self.conn, PLATFORM);
        let builder = testing::builder(&mut self.conn, "b1");
        testing::accepted(&mut self.conn, &[PLATFORM]);
        let key = builder.claim_one(&mut self.conn);
        (builder, key)
    }

    /// Moves the clock for the rows of a table, because nobody waits for hours.
    pub fn pass(&self, statement: &str) {
        use diesel::connection::SimpleConnection as _;
        self.db.connect().batch_execute(statement).unwrap();
    }

    /// Puts bytes into the store.
    pub async fn put(&self, bytes: &[u8]) -> Digest {
        let digest = digest_of(bytes);
        put(&self.tools.store, &digest, bytes).await;
        digest
    }

    /// A job that ended `days` ago: of that package, into that bucket, with a log and a package of so many bytes if it succeeded.
    pub async fn built(&mut self, builder: TestBuilder, what: &Built<'_>) -> JobId {
        let submission = intake::Submission {
            bucket: what.bucket.parse().unwrap(),
            ..testing::submission(&mut self.conn, what.person)
        };
        let (job, _) = intake::submit(&mut self.conn, &submission).unwrap();
        testing::accept(&mut self.conn, job, &[PLATFORM]);
        let key = builder.claim_one(&mut self.conn);
        let mut artifacts = vec![(ArtifactKind::Log, "build.log.gz".to_owned(), b"a log".to_vec())];
        if what.outcome == Outcome::Succeeded {
            let bytes = format!("{job}{}", "x".repeat(what.bytes)).into_bytes();
            artifacts.push((ArtifactKind::Rpm, format!("{}-{job}.rpm", what.package), bytes));
        }
        let mut finish = testing::ended(what.outcome);
        for (kind, name, bytes) in artifacts {
            let (digest, size) = (self.put(&bytes).await, bytes.len() as u64);
            queue::deliver(&mut self.conn, builder.id, &key, &digest, size).unwrap();
            finish.artifacts.push(NewArtifact { kind, name: name.parse().unwrap(), digest, size });
        }
        let finish: Finish = finish;
        queue::finish(&mut self.conn, builder.id, &key, &finish).unwrap();
        self.pass(&format!(
            "UPDATE farm.task SET finished_at = now() - interval '{} days' WHERE job_id = {job};
             UPDATE farm.source SET name = '{}' WHERE job_id = {job}",
            what.days, what.package
        ));
        job
    }

    /// That everything fits together.
    pub fn assert_sound(&mut self) {
        assert_eq!(farm_db::invariants::check(&mut self.conn).unwrap(), [""; 0], "the farm is not sound");
    }
}

/// The platform of these tests.
pub const PLATFORM: &str = "f13-x86_64";

/// What was built.
pub struct Built<'a> {
    pub bucket: &'a str,
    pub person: &'a str,
    pub package: &'a str,
    pub outcome: Outcome,
    pub bytes: usize,
    pub days: u32,
}

impl Default for Built<'_> {
    fn default() -> Self {
        Self { bucket: "scratch", person: "alice", package: "hello", outcome: Outcome::Succeeded, bytes: 100, days: 2 }
    }
}

pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

pub async fn put(store: &Store, digest: &Digest, bytes: &[u8]) {
    let body = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(bytes))]);
    store.put_stream(digest, bytes.len() as u64, body).await.unwrap();
}
