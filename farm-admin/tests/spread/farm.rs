//! The daemons of a farm as processes, and what a test asks of it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, sql_query, sql_types::Text};
use farm_api::{
    client::{ClientError, PeopleClient, Transport},
    people::{Job, NewJob, NewSource},
};
use farm_auth::Token;
use farm_db::{PgConnection, invariants, testing};
use farm_testing::{Process, eventually};
use farm_types::{Digest, JobId, Progress};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// The platform that quick builders build for.
pub const PLATFORM: &str = "quick-x86_64";
/// What has to come comes within this time, with outages in between, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How long leases last here, in seconds.
pub const LEASE: u32 = 10;

/// Where the daemons find database and store.
pub struct Site {
    /// A conninfo; `ROLE` stands for the role.
    pub database: String,
    /// The table `[store]` of all configurations.
    pub store: String,
    /// Lines of `[http]` beside the address.
    pub http: &'static str,
    pub dir: TempDir,
}

impl Site {
    /// On this machine, with a store in a folder.
    pub fn local(database: String) -> Self {
        let dir = folder();
        let store = format!("kind = 'folder'\npath = '{}'", dir.path().join("store").display());
        Self { database, store, http: "", dir }
    }

    /// Starts a daemon. `own` are settings of its own, `listen` is where it serves HTTP, if it does.
    pub fn daemon(&self, name: &str, own: &str, listen: Option<&str>) -> Process {
        Process::daemon(&format!("farm-{name}"), &self.config(name, own, listen))
    }

    pub fn config(&self, name: &str, own: &str, listen: Option<&str>) -> String {
        let database = self.database.replace("ROLE", &format!("farm_{name}"));
        let http = listen.map(|listen| format!("[http]\nlisten = '{listen}'\n{}\n", self.http)).unwrap_or_default();
        // A spool of each process, as on a disk of its own host.
        let spool = self.dir.path().join(format!("{name}-{}", uuid::Uuid::new_v4()));
        let store = &self.store;
        format!("database = \"{database}\"\nspool = '{}'\n{own}\n{http}[store]\n{store}\n", spool.display())
    }

    pub fn hub(&self, listen: &str) -> Process {
        let own = format!("lease_seconds = {LEASE}\nrenew_seconds = 3\nrescan_seconds = 5");
        self.daemon("hub", &own, Some(listen))
    }

    pub fn web(&self, listen: &str) -> Process {
        self.daemon("web", "local_user = 'alice'", Some(listen))
    }

    pub fn validator(&self) -> Process {
        self.daemon("validator", "rescan_seconds = 5", None)
    }

    pub const JANITOR: &str = "reap_seconds = 1\nreap_grace_seconds = 0\nsettle_seconds = 5";

    pub fn janitor(&self) -> Process {
        self.daemon("janitor", Self::JANITOR, None)
    }

    /// The configuration of a builder that calls these hubs.
    pub fn builder(&self, conn: &mut PgConnection, name: &str, slots: u32, hubs: &[String]) -> String {
        let token = Token::generate();
        testing::put_builder(conn, name, &token.digest(), None);
        let file = self.dir.path().join(format!("{name}.token"));
        write_secret(&file, &token.expose());
        format!(
            "hub = {hubs:?}\nname = '{name}'\nslots = {slots}\narches = ['x86_64']\ntoken_file = '{}'\ndata = '{}'\n\
             [thresholds]\nload_per_processor = 0\nmemory_bytes = 0\ndisk_bytes = 0\n",
            file.display(),
            self.dir.path().join(format!("{name}-data")).display()
        )
    }
}

/// A folder that is not below /tmp, which may be memory, and where others can reach it, as builds run as other users.
pub fn folder() -> TempDir {
    let dir = tempfile::Builder::new().prefix("farm-spread-").tempdir_in("/var/tmp").unwrap();
    fs_err::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    dir
}

fn write_secret(path: &Path, secret: &str) {
    fs_err::write(path, secret).unwrap();
    fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

pub fn client(url: &str, token: Option<&str>) -> PeopleClient {
    let transport = Transport::new(url, "test").unwrap();
    PeopleClient::new(token.iter().fold(transport, |transport, token| transport.with_token(token).unwrap()))
}

pub fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap()
}

pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// Brings a file, and gives its digest.
pub async fn bring(people: &PeopleClient, file: &Path) -> Result<Digest, ClientError> {
    let bytes = fs_err::read(file).unwrap();
    let digest = digest_of(&bytes);
    people.upload(file, digest, bytes.len() as u64, |_| {}).await?;
    Ok(digest)
}

/// Hands in a job of that source until it is answered, as the tools do: the same key is the same job.
pub async fn submit(people: &PeopleClient, source: Digest, key: &str) -> JobId {
    let job = NewJob {
        key: key.parse().unwrap(),
        title: None,
        sources: vec![NewSource { name: "quick-1-1.src.rpm".to_owned(), digest: source }],
        targets: Vec::new(),
        bucket: None,
        class: None,
        timeout_seconds: None,
        after: None,
        network: false,
        like: None,
        options: Default::default(),
    };
    eventually(&format!("an answer to the job {key}"), PATIENCE, async || people.create_job(&job).await.ok()).await.id
}

pub async fn end_of(people: &PeopleClient, id: JobId) -> Job {
    eventually(&format!("the end of job {id}"), PATIENCE, async || {
        people.job(id).await.ok().filter(|job| job.progress.is_final())
    })
    .await
}

/// All texts that a query answers in its column `text`.
pub fn texts(conn: &mut PgConnection, sql: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    sql_query(sql).load::<Row>(conn).unwrap().into_iter().map(|row| row.text).collect()
}

/// Waits until a query answers some text.
pub async fn until(conn: &mut PgConnection, what: &str, sql: &str) -> String {
    eventually(what, PATIENCE, async || texts(conn, sql).pop()).await
}

/// The ends of attempts that the database has acknowledged to these hubs: `TASK/ATTEMPT`, and the outcome.
pub fn acknowledged(hubs: &[&Process]) -> BTreeMap<String, String> {
    let field = |line: &str, name: &str| {
        let rest = line.split(&format!("{name}=")).nth(1)?;
        Some(rest.split_whitespace().next()?.trim_matches('"').to_owned())
    };
    let ends = hubs.iter().flat_map(|hub| {
        let log = hub.log();
        let ended = log.lines().filter(|line| line.contains("attempt ended"));
        ended
            .filter_map(|line| {
                Some((format!("{}/{}", field(line, "task.id")?, field(line, " attempt")?), field(line, "outcome")?))
            })
            .collect::<Vec<_>>()
    });
    ends.collect()
}

/// What the database has of the ends of attempts, in the same form.
pub fn recorded(conn: &mut PgConnection) -> BTreeMap<String, String> {
    let sql = "SELECT format('%s/%s %s', task_id, number, outcome) AS text FROM farm.attempt WHERE outcome IS NOT NULL";
    texts(conn, sql)
        .iter()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

/// Every one of these jobs has succeeded, each of its tasks by one attempt, and the farm is at rest.
pub fn assert_all_built(conn: &mut PgConnection, jobs: &[Job]) {
    for job in jobs {
        assert_eq!(job.progress, Progress::Succeeded, "{job:#?}");
    }
    let twice = "SELECT task_id::text AS text FROM farm.attempt WHERE outcome = 'succeeded' GROUP BY task_id HAVING count(*) <> 1";
    assert_eq!(texts(conn, twice), Vec::<String>::new(), "these have more than one result");
    assert_eq!(texts(conn, "SELECT task_id::text AS text FROM farm.lease"), Vec::<String>::new(), "a lease is left");
    assert_eq!(invariants::check(conn).unwrap(), Vec::<String>::new());
}
