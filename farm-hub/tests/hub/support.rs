//! A hub on a database of its own, and builders that call it.

use std::time::Duration;

use farm_api::{
    error::{ErrorBody, ErrorCode},
    hub::{Claim, Claimed, Finish, Hello, LEASE_HEADER, Lease, Renew, Renewed, Status, Welcome},
};
use farm_auth::Token;
use farm_daemon::{CancellationToken, http::HttpConfig};
use farm_db::{
    PgConnection,
    intake::{self, Submission},
    queue, testing,
};
use farm_hub::{Config, Server};
use farm_store::{Store, StoreConfig};
use farm_testing::TestDb;
use farm_types::{Class, Digest, JobId, LeaseKey, Outcome};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::watch, task::JoinHandle};
use uuid::Uuid;

/// What must come by itself comes within this time.
pub const SOON: Duration = Duration::from_secs(20);

/// A hub with one platform, `a-x86_64`.
pub struct Farm {
    pub db: TestDb,
    pub store: Store,
    pub url: String,
    waiters: watch::Receiver<usize>,
    shutdown: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
    config: Config,
    _dir: TempDir,
}

impl Farm {
    pub async fn start() -> Self {
        let farm = Self::start_on(TestDb::new(), |_| {}).await;
        farm.ready().await;
        farm
    }

    pub async fn start_on(db: TestDb, change: impl FnOnce(&mut Config)) -> Self {
        testing::platform(&mut db.connect(), "a-x86_64");
        let dir = tempfile::tempdir().unwrap();
        let store = StoreConfig::Folder { path: dir.path().join("store") };
        let mut config = Config {
            database: db.url_as("farm_hub"),
            pool_size: 4,
            connection_max_age_seconds: 600,
            kerberos: farm_daemon::KerberosConfig::default(),
            service: None,
            login_seconds: 600,
            repositories: None,
            spool: dir.path().join("spool"),
            lease_seconds: 60,
            renew_seconds: 20,
            // What a test waits for must not come from the look that is there for what is lost.
            rescan_seconds: 3600,
            max_waiting: 1000,
            max_calls: 512,
            max_artifact_bytes: 1 << 20,
            max_log_bytes: 4 << 20,
            http: HttpConfig::new("127.0.0.1:0".parse().unwrap()),
            store: store.clone(),
            log: Default::default(),
        };
        change(&mut config);
        let shutdown = CancellationToken::new();
        let server = Server::bind(config.clone(), shutdown.clone()).await.unwrap();
        let (url, waiters) = (format!("http://{}", server.address()), server.waiters());
        let served = tokio::spawn(server.run());
        let store = Store::open(&store, dir.path()).unwrap();
        Self { db, store, url, waiters, shutdown, served, config, _dir: dir }
    }

    /// Starts one more hub beside the first, and answers where it is. It ends with the first.
    pub async fn second_hub(&self) -> String {
        let server = Server::bind(self.config.clone(), self.shutdown.clone()).await.unwrap();
        let url = format!("http://{}", server.address());
        tokio::spawn(server.run());
        url
    }

    /// Waits until the hub hears the database.
    pub async fn ready(&self) {
        farm_testing::eventually("the hub's readiness", SOON, async || {
            let answer = reqwest::get(format!("{}/readyz", self.url)).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    pub fn conn(&self) -> PgConnection {
        self.db.connect()
    }

    /// A job on these platforms, ready to be claimed.
    pub fn job(&self, platforms: &[&str]) -> JobId {
        testing::accepted(&mut self.conn(), platforms)
    }

    /// A job of a mass rebuild.
    pub fn background_job(&self) -> JobId {
        let mut conn = self.conn();
        let new = Submission { class: Class::Background, ..testing::submission(&mut conn, "release-engineer") };
        let (job, _) = intake::submit(&mut conn, &new).unwrap();
        testing::accept(&mut conn, job, &["a-x86_64"]);
        job
    }

    pub fn cancel(&self, job: JobId) {
        assert_eq!(queue::cancel_job(&mut self.conn(), &testing::person("alice"), job).unwrap(), 1);
    }

    /// A builder of x86_64 that said hello.
    pub async fn builder(&self, name: &str) -> Builder {
        let builder = self.stranger(name);
        builder.hello().await
    }

    /// A builder that is registered and was never heard of.
    pub fn stranger(&self, name: &str) -> Builder {
        let token = Token::generate();
        testing::put_builder(&mut self.conn(), name, &token.digest(), None);
        Builder {
            http: reqwest::Client::new(),
            url: self.url.clone(),
            name: name.to_owned(),
            token: token.expose(),
            instance: Uuid::new_v4(),
        }
    }

    /// Waits until so many builders wait in the hub.
    pub async fn wait_for_waiters(&self, number: usize) {
        let mut waiters = self.waiters.clone();
        let reached = tokio::time::timeout(SOON, waiters.wait_for(|now| *now == number)).await;
        reached.unwrap_or_else(|_| panic!("there were never {number} waiters")).unwrap();
    }

    /// Waits until the hub has seen everything that happened before.
    pub async fn catch_up(&self) {
        reqwest::get(format!("{}/healthz", self.url)).await.unwrap();
    }

    /// One number of the database.
    pub fn count(&self, sql: &str) -> i64 {
        use diesel::{QueryableByName, RunQueryDsl as _, sql_query, sql_types::BigInt};
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        sql_query(format!("SELECT ({sql})::bigint AS count")).get_result::<Count>(&mut self.conn()).unwrap().count
    }

    /// Tasks that are made from now on weigh so much.
    pub fn set_weight(&self, weight: u16) {
        use diesel::{RunQueryDsl as _, sql_query, sql_types::Integer};
        sql_query("UPDATE farm.platform SET recipe = recipe || jsonb_build_object('weight', $1)")
            .bind::<Integer, _>(i32::from(weight))
            .execute(&mut self.conn())
            .unwrap();
    }

    /// Asks the hub to end.
    pub fn begin_to_stop(&self) {
        self.shutdown.cancel();
    }

    pub async fn stopped(self) {
        tokio::time::timeout(SOON, self.served).await.expect("the hub did not end").unwrap().unwrap();
    }
}

/// A builder as the hub sees it.
#[derive(Clone)]
pub struct Builder {
    http: reqwest::Client,
    url: String,
    name: String,
    pub token: String,
    pub instance: Uuid,
}

impl Builder {
    /// The same builder, which calls another hub from now on.
    pub fn at(&self, hub: &str) -> Self {
        Self { url: hub.to_owned(), ..self.clone() }
    }

    /// Starts it (anew).
    pub async fn hello(&self) -> Self {
        let instance = Uuid::new_v4();
        let hello = Hello {
            name: self.name.parse().unwrap(),
            instance,
            version: "test".to_owned(),
            arches: vec!["x86_64".to_owned()],
            slots: 4,
            successor: false,
        };
        ok::<Welcome>(self.post("hello", None, &hello).await).await;
        Self { instance, ..self.clone() }
    }

    pub fn call(&self, method: Method, path: &str, lease: Option<&LeaseKey>) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/hub/v1/{path}", self.url)).bearer_auth(&self.token);
        match lease {
            Some(key) => request.header(LEASE_HEADER, key.to_header()),
            None => request,
        }
    }

    pub async fn post(&self, path: &str, lease: Option<&LeaseKey>, body: &impl Serialize) -> Response {
        self.call(Method::POST, path, lease).json(body).send().await.unwrap()
    }

    pub fn claim_request(&self, want: u32, wait_seconds: u32) -> Claim {
        Claim { instance: self.instance, want, wait_seconds }
    }

    pub fn status(&self, reason: Option<&str>) -> Status {
        Status {
            instance: self.instance,
            reason: reason.map(str::to_owned),
            load: 0.5,
            processors: 2,
            memory_available: 1 << 30,
            disk_available: 1 << 40,
            files_available: 1 << 20,
        }
    }

    /// Claims, and waits for it so long.
    pub async fn claim(&self, want: u32, wait_seconds: u32) -> Vec<Lease> {
        let claim = self.claim_request(want, wait_seconds);
        ok::<Claimed>(self.post("claim", None, &claim).await).await.leases
    }

    /// Sends a claim and hands over the connection; dropping it hangs up at once.
    pub async fn claim_on_a_connection(&self) -> TcpStream {
        let body = serde_json::to_string(&self.claim_request(1, 60)).unwrap();
        let host = self.url.strip_prefix("http://").unwrap();
        let head = format!(
            "POST /hub/v1/claim HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        let mut connection = TcpStream::connect(host).await.unwrap();
        connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        connection
    }

    /// Claims the one task that there must be.
    pub async fn claim_one(&self) -> Lease {
        let mut leases = self.claim(1, 0).await;
        assert_eq!(leases.len(), 1, "there is no task to claim");
        leases.remove(0)
    }

    pub async fn renew(&self, leases: &[&Lease], wait_seconds: u32) -> Renewed {
        let leases = leases.iter().map(|lease| lease.key).collect();
        ok(self.post("renew", None, &Renew { instance: self.instance, leases, wait_seconds }).await).await
    }

    pub async fn finish(&self, key: &LeaseKey, outcome: Outcome) -> Response {
        self.post("finish", Some(key), &testing::ended(outcome)).await
    }

    pub async fn finish_with(&self, key: &LeaseKey, end: &Finish) -> Response {
        self.post("finish", Some(key), end).await
    }

    pub async fn log(&self, key: &LeaseKey, start: u64, piece: &[u8]) -> Response {
        self.call(Method::PUT, &format!("log?start={start}"), Some(key)).body(piece.to_vec()).send().await.unwrap()
    }

    pub async fn blob(&self, key: &LeaseKey, digest: &Digest, bytes: &[u8]) -> Response {
        self.call(Method::PUT, &format!("blobs/{digest}"), Some(key)).body(bytes.to_vec()).send().await.unwrap()
    }
}

pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// The document of an answer that must be a success.
pub async fn ok<T: DeserializeOwned>(response: Response) -> T {
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The refusal of an answer that must be one.
pub async fn refusal(response: Response) -> ErrorCode {
    let (status, text) = (response.status(), response.text().await.unwrap());
    let body: ErrorBody = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} without a reason: {text}"));
    assert_eq!(status.as_u16(), body.code.status());
    body.code
}
