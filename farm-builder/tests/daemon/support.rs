//! A hub on a database of its own, as a process, and builders that call it.

use std::{
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use diesel::{
    QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Nullable, Text},
};
use farm_api::record::BuildRecord;
use farm_auth::Token;
use farm_db::{PgConnection, intake, operator, testing};
use farm_store::{Store, StoreConfig};
use farm_testing::{Process, TestDb, eventually};
use farm_types::{Digest, JobId};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::common::{platform, shared_data};

/// What must come by itself comes within this time.
pub const SOON: Duration = Duration::from_secs(60);

/// A farm of a database, a hub, and the platform `mini12-x86_64`.
pub struct Farm {
    pub db: TestDb,
    pub hub: Process,
    store: Store,
    hub_config: String,
    pub dir: TempDir,
}

impl Farm {
    pub fn start() -> Self {
        Self::on(TestDb::new(), 20, 5)
    }

    /// The same with leases that last so many seconds, and are renewed every so many.
    pub fn with_leases(lease_seconds: u32, renew_seconds: u32) -> Self {
        Self::on(TestDb::new(), lease_seconds, renew_seconds)
    }

    /// The same on a database of the caller's.
    pub fn on(db: TestDb, lease_seconds: u32, renew_seconds: u32) -> Self {
        operator::put_platform(&mut db.connect(), &testing::operator(), &platform("mini12")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (blobs, spool) = (dir.path().join("store"), dir.path().join("hub"));
        let config = |listen: &str| {
            format!(
                "database = '{}'\nspool = '{}'\nlease_seconds = {lease_seconds}\nrenew_seconds = {renew_seconds}\nrepositories = '{}'\n[http]\nlisten = '{listen}'\n\
                 [store]\nkind = 'folder'\npath = '{}'\n",
                db.url_as("farm_hub"),
                spool.display(),
                dir.path().join("repositories").display(),
                blobs.display()
            )
        };
        let hub = Process::daemon("farm-hub", &config("127.0.0.1:0"));
        // When it is started again, it is to be found where it was.
        let hub_config = config(hub.address());
        let store = Store::open(&StoreConfig::Folder { path: blobs }, dir.path()).unwrap();
        Self { db, hub, store, hub_config, dir }
    }

    /// Starts the hub again, at the same address.
    pub fn restart_hub(&mut self) {
        self.hub = Process::daemon("farm-hub", &self.hub_config);
    }

    /// Starts one more hub.
    pub fn second_hub(&self) -> Process {
        let listen = format!("listen = '{}'", self.hub.address());
        Process::daemon("farm-hub", &self.hub_config.replace(&listen, "listen = '127.0.0.1:0'"))
    }

    /// Starts a janitor that takes leases back in the second in which they have run out.
    pub fn janitor(&self) -> Process {
        let config = format!(
            "database = '{}'\nspool = '{}'\nreap_seconds = 1\nreap_grace_seconds = 0\nsettle_seconds = 0\n\
             [store]\nkind = 'folder'\npath = '{}'\n",
            self.db.url_as("farm_janitor"),
            self.dir.path().join("janitor").display(),
            self.store_folder().display()
        );
        Process::daemon("farm-janitor", &config)
    }

    pub fn conn(&self) -> PgConnection {
        self.db.connect()
    }

    /// A builder of this name, with these lines more in its configuration.
    pub fn builder(&self, name: &str, more: &str) -> Process {
        Process::daemon("farm-builder", &self.builder_config(name, more))
    }

    pub fn builder_config(&self, name: &str, more: &str) -> String {
        self.builder_config_at(&format!("'{}'", self.hub.url("/")), name, more)
    }

    /// The same, for a builder that calls this hub, or these, in the words of TOML.
    pub fn builder_config_at(&self, hub: &str, name: &str, more: &str) -> String {
        let token = Token::generate();
        testing::put_builder(&mut self.conn(), name, &token.digest(), None);
        // Tests run on machines that are busy with other tests.
        let thresholds = if more.contains("[thresholds]") { "" } else { "[thresholds]\nload_per_processor = 0" };
        let token_file = self.dir.path().join(name);
        write_token(&token_file, &token);
        format!(
            "hub = {hub}\nname = '{name}'\ntoken_file = '{}'\ndata = '{}'\n{more}\n{thresholds}\n",
            token_file.display(),
            shared_data().display(),
        )
    }

    /// A job of these source packages on `mini12-x86_64`.
    pub async fn job(&self, sources: &[PathBuf]) -> JobId {
        self.job_with(sources, |_| {}).await
    }

    /// The same, with something said of the job.
    pub async fn job_with(&self, sources: &[PathBuf], change: impl FnOnce(&mut intake::Submission)) -> JobId {
        let mut submission = testing::submission(&mut self.conn(), "alice");
        submission.sources.clear();
        change(&mut submission);
        let mut about = Vec::new();
        for (n, path) in sources.iter().enumerate() {
            let bytes = fs_err::read(path).unwrap();
            let (digest, size) = (sha256(&bytes), bytes.len() as u64);
            let body = futures::stream::once(async move { Ok::<_, std::io::Error>(bytes.into()) });
            self.store.put_stream(&digest, size, Box::pin(body)).await.unwrap();
            testing::brought(&mut self.conn(), "alice", &digest, size);
            submission.sources.push((path.file_name().unwrap().to_str().unwrap().to_owned(), digest));
            about.push(serde_json::json!(
                { "position": n + 1, "name": "a", "epoch": null, "version": "1", "release": "1" }
            ));
        }
        let (job, _) = intake::submit(&mut self.conn(), &submission).unwrap();
        sql_query("SELECT farm.accept($1, $2::jsonb, ARRAY['mini12-x86_64'], '[]')")
            .bind::<BigInt, _>(job.0)
            .bind::<Text, _>(serde_json::Value::from(about).to_string())
            .execute(&mut self.conn())
            .unwrap();
        job
    }

    /// One text of the database; `$1` is the job.
    pub fn ask(&self, job: JobId, sql: &str) -> Option<String> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<Text>)]
            answer: Option<String>,
        }
        let query = sql_query(format!("SELECT ({sql})::text AS answer")).bind::<BigInt, _>(job.0);
        query.get_result::<Row>(&mut self.conn()).unwrap().answer
    }

    /// Something of the job's attempts, in their order: `succeeded`, or `released succeeded`.
    pub fn attempts(&self, job: JobId, column: &str) -> String {
        let sql = format!(
            "SELECT string_agg(coalesce(({column})::text, '-'), ' ' ORDER BY number) FROM
             (SELECT a.* FROM farm.attempt a JOIN farm.task t ON t.id = a.task_id WHERE t.job_id = $1) attempts"
        );
        self.ask(job, &sql).unwrap_or_default()
    }

    /// Waits until the job's task has ended, and gives its state.
    pub async fn ended(&self, job: JobId) -> String {
        let sql = "SELECT state FROM farm.task WHERE job_id = $1 AND finished_at IS NOT NULL";
        eventually("the end of the task", SOON, async || self.ask(job, sql)).await
    }

    /// Waits until the log at the hub has this text. (The pieces are read: the attempt is under way.)
    pub async fn logged(&self, job: JobId, text: &str) {
        let sql = "SELECT string_agg(encode(data, 'hex'), '' ORDER BY start) FROM farm.log_chunk c
                   JOIN farm.task t ON t.id = c.task_id WHERE t.job_id = $1 AND c.attempt = t.attempts";
        eventually(&format!("“{text}” in the log"), SOON, async || {
            unpack(&hex(&self.ask(job, sql)?)).contains(text).then_some(())
        })
        .await;
    }

    /// The whole log of the attempt that ended.
    pub async fn log(&self, job: JobId) -> String {
        let sql = "SELECT encode(log_digest, 'hex') FROM farm.attempt a JOIN farm.task t ON t.id = a.task_id
                   WHERE t.job_id = $1 ORDER BY number DESC LIMIT 1";
        let digest: Digest = self.ask(job, sql).expect("the attempt has no log").parse().unwrap();
        unpack(&self.store.get(&digest).await.unwrap().bytes(1 << 30).await.unwrap())
    }

    /// The record of the job's only attempt.
    pub async fn record(&self, job: JobId) -> BuildRecord {
        let sql = "SELECT encode(f.digest, 'hex') FROM farm.artifact f JOIN farm.task t ON t.id = f.task_id
                   WHERE t.job_id = $1 AND f.kind = 'manifest'";
        let digest: Digest = self.ask(job, sql).expect("the attempt has no record").parse().unwrap();
        serde_json::from_slice(&self.store.get(&digest).await.unwrap().bytes(1 << 30).await.unwrap()).unwrap()
    }

    /// Names of the job's artifacts.
    pub fn artifacts(&self, job: JobId) -> String {
        let sql = "SELECT string_agg(name, ' ' ORDER BY name) FROM farm.artifact f
                   JOIN farm.task t ON t.id = f.task_id WHERE t.job_id = $1";
        self.ask(job, sql).unwrap_or_default()
    }

    /// Where repositories of buckets are.
    pub fn repositories(&self) -> PathBuf {
        self.dir.path().join("repositories")
    }

    /// The folder of the store.
    pub fn store_folder(&self) -> PathBuf {
        self.dir.path().join("store")
    }
}

/// What a builder of this name keeps on its disk.
pub fn leftovers(name: &str) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder)
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default()
    };
    let mut left = entries(&shared_data().join("spool").join(name));
    let work = entries(&shared_data().join("work"));
    left.extend(
        work.into_iter().filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}-"))),
    );
    left
}

/// Writes a token so that only its owner can read it.
pub fn write_token(path: &Path, token: &Token) {
    fs_err::write(path, token.expose()).unwrap();
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn unpack(gzip: &[u8]) -> String {
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(gzip).read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}
