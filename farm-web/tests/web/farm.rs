//! A farm without its daemons: a real database, a real store and the routes of farm-web. What validators and builders
//! would do is done with their own verbs.

#[path = "farm/builder.rs"]
mod builder;

use std::{io::Write as _, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use farm_api::{
    people::{Job, NewJob, NewSource, Task},
    recipe::{Recipe, Repository},
};
use farm_daemon::{
    CancellationToken,
    http::{Address, HttpConfig, Listener, serve},
};
use farm_db::{
    PgConnection, Viewer,
    intake::{self, Decided, Decision, ReadSource},
    operator, read, testing,
};
use farm_store::StoreConfig;
use farm_testing::TestDb;
use farm_types::{Digest, JobId, TaskId};
use farm_web::{App, Config};
use flate2::{Compression, write::GzEncoder};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;
use uuid::Uuid;

pub use builder::{Builder, artifact, failed_build, failure, record};

pub const PLATFORMS: [&str; 2] = ["f13-x86_64", "f14-x86_64"];

pub struct Farm {
    pub app: App,
    pub router: Router,
    pub db: Arc<TestDb>,
    shutdown: CancellationToken,
    _dir: tempfile::TempDir,
}

/// What a request was answered.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Drop for Farm {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Farm {
    /// With two platforms and nothing to do.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// With something changed in the configuration.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(TestDb::new(), change)
    }

    /// On a database of the test's own.
    pub fn on(db: TestDb, change: impl FnOnce(&mut Config)) -> Self {
        let db = Arc::new(db);
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            database: db.url_as("farm_web"),
            pool_size: 8,
            spool: dir.path().join("spool"),
            connection_max_age_seconds: 600,
            local_user: Some("alice".to_owned()),
            service: None,
            require_login: false,
            login_seconds: 600,
            session_seconds: 3600,
            kerberos: farm_daemon::KerberosConfig::default(),
            max_requests: 512,
            max_streams: 512,
            max_upload_bytes: 64 << 20,
            max_sources: 5,
            repositories: None,
            http: HttpConfig::new("127.0.0.1:0".parse().unwrap()),
            store: StoreConfig::Folder { path: dir.path().join("store") },
            log: farm_daemon::LogConfig::default(),
        };
        change(&mut config);
        let shutdown = CancellationToken::new();
        let app = App::open(config, shutdown.clone()).unwrap();
        let farm = Self { router: farm_web::router(app.clone()), app, db, shutdown, _dir: dir };
        let mut conn = farm.connect();
        for platform in PLATFORMS {
            operator::put_platform(&mut conn, &testing::operator(), &recipe(platform)).unwrap();
        }
        farm
    }

    /// A connection that may do what all the daemons may.
    pub fn connect(&self) -> PgConnection {
        self.db.connect()
    }

    /// Serves on a real socket, and hears of changes. Answers the address.
    pub async fn serve(&self) -> String {
        let listener = Listener::bind(&self.app.config.http).await.unwrap();
        let Address::Tcp(address) = listener.address().clone() else { panic!("no TCP") };
        tokio::spawn(serve(listener, self.router.clone(), self.shutdown.clone()));
        self.listen();
        format!("http://{address}")
    }

    /// Hears of changes.
    pub fn listen(&self) {
        tokio::spawn(farm_web::listen(self.app.clone()));
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, json: &impl serde::Serialize) -> Answer {
        let body = serde_json::to_vec(json).unwrap();
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json").body(body.into());
        self.send(request.unwrap()).await
    }

    pub async fn patch(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::builder().method(Method::PATCH).uri(path).body(body.into()).unwrap()).await
    }

    /// Puts a file where an upload would have put it.
    pub async fn blob(&self, bytes: &[u8]) -> Digest {
        let digest = sha256(bytes);
        let body = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(bytes))]);
        self.app.store.put_stream(&digest, bytes.len() as u64, body).await.unwrap();
        testing::brought(&mut self.connect(), "alice", &digest, bytes.len() as u64);
        digest
    }

    /// A request for a job with these sources.
    pub async fn request(&self, names: &[&str]) -> NewJob {
        let mut sources = Vec::new();
        for name in names {
            sources.push(NewSource { name: (*name).to_owned(), digest: self.blob(name.as_bytes()).await });
        }
        NewJob {
            key: Uuid::new_v4().to_string().parse().unwrap(),
            title: None,
            sources,
            targets: Vec::new(),
            bucket: None,
            class: None,
            timeout_seconds: None,
            after: None,
            network: false,
            like: None,
            options: Default::default(),
        }
    }

    pub async fn submit(&self, names: &[&str]) -> JobId {
        let answer = self.post("/api/v1/jobs", &self.request(names).await).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json::<Job>().id
    }

    /// Decides as a validator does.
    pub fn accept(&self) {
        self.decide(|job| Decision::Accept {
            sources: job.sources.iter().map(read_source).collect(),
            platforms: PLATFORMS.map(|platform| platform.parse().unwrap()).to_vec(),
            warnings: Vec::new(),
        });
    }

    pub fn decide(&self, decide: impl FnOnce(&intake::UndecidedJob) -> Decision) {
        let decided = intake::decide_next(&mut self.connect(), |_, job| Some(decide(job))).unwrap();
        assert!(matches!(decided, Decided::Done(_)), "{decided:?}");
    }

    /// A submitted and accepted job.
    pub async fn job(&self, names: &[&str]) -> JobId {
        let job = self.submit(names).await;
        self.accept();
        job
    }

    pub fn builder(&self, name: &str) -> Builder {
        Builder::new(self.connect(), name)
    }

    pub fn task(&self, id: TaskId) -> Task {
        read::task(&mut self.connect(), Viewer::ANYBODY, id).unwrap()
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The refusal, and that it has the form of all refusals.
    pub fn refusal(&self) -> farm_api::error::ErrorBody {
        let body: farm_api::error::ErrorBody = self.json();
        assert_eq!(self.header("content-type"), "application/json");
        body
    }
}

pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What the name of the file says; `hello` where it says nothing.
fn read_source(source: &intake::UndecidedSource) -> ReadSource {
    let mut words = source.file_name.trim_end_matches(".src.rpm").rsplitn(3, '-').map(str::to_owned);
    let (release, version, name) = (words.next(), words.next(), words.next());
    ReadSource {
        position: source.position,
        name: name.unwrap_or_else(|| "hello".to_owned()),
        epoch: None,
        version: version.unwrap_or_else(|| "1".to_owned()),
        release: release.unwrap_or_else(|| "1".to_owned()),
    }
}

fn recipe(platform: &str) -> Recipe {
    let (release, arch) = platform.rsplit_once('-').unwrap();
    Recipe {
        name: platform.parse().unwrap(),
        release: release.to_owned(),
        arch: arch.to_owned(),
        description: format!("Fedora {}", release.trim_start_matches('f')),
        auto: true,
        base: vec!["@build".to_owned()],
        repositories: vec![Repository {
            name: "fedora".to_owned(),
            baseurl: Some("https://mirror.example/fedora".to_owned()),
            metalink: None,
            gpgcheck: false,
            gpgkey: None,
            priority: None,
            enabled: true,
        }],
        network: false,
        timeout_seconds: None,
        weight: None,
        limits: Default::default(),
        buckets: Vec::new(),
    }
}
