//! Builders that wait, as the hub sees them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{
    RunQueryDsl as _, sql_query,
    sql_types::{Array, Binary},
};
use farm_api::hub::{Claim, Claimed, Hello, LEASE_HEADER, Status};
use farm_auth::Token;
use farm_db::testing;
use farm_testing::TestDb;
use farm_types::Outcome;
use futures::{StreamExt as _, stream};
use reqwest::Client;
use serde::Serialize;
use tokio::{
    runtime::Runtime,
    sync::mpsc,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::PLATFORM;

/// How long a claim waits, and how often builders report, as real ones do.
const WAIT_SECONDS: u32 = 30;
pub const REPORT: Duration = Duration::from_secs(30);
/// Builders that come up at the same time.
const COMING: usize = 64;
/// What does not come within this time does not come.
const PATIENCE: Duration = Duration::from_secs(300);

/// All of them.
pub struct Fleet {
    tasks: mpsc::UnboundedReceiver<Instant>,
    shared: Arc<Shared>,
}

struct Shared {
    http: Client,
    url: String,
    got: mpsc::UnboundedSender<Instant>,
    in_vain: AtomicUsize,
    errors: AtomicUsize,
    first_error: Mutex<Option<String>>,
}

struct Builder {
    shared: Arc<Shared>,
    token: String,
    instance: Uuid,
}

impl Fleet {
    /// Registers so many builders and waits until all of them wait for a task.
    pub async fn start(hub: &str, db: &TestDb, size: usize) -> Self {
        let tokens: Vec<Token> = (0..size).map(|_| Token::generate()).collect();
        // By hand instead of one by one with its line in the audit, which would take longer than the bench.
        sql_query("INSERT INTO farm.builder (name, token_digest) SELECT 'b' || n, digest FROM unnest($1) WITH ORDINALITY AS x(digest, n)")
            .bind::<Array<Binary>, _>(tokens.iter().map(|token| token.digest().as_bytes().to_vec()).collect::<Vec<_>>())
            .execute(&mut db.connect())
            .unwrap();
        let (got, tasks) = mpsc::unbounded_channel();
        let http = Client::builder().pool_max_idle_per_host(usize::MAX).no_proxy().build().unwrap();
        let shared = Arc::new(Shared {
            http,
            url: hub.to_owned(),
            got,
            in_vain: AtomicUsize::new(0),
            errors: AtomicUsize::new(0),
            first_error: Mutex::default(),
        });
        stream::iter(tokens.into_iter().enumerate())
            .for_each_concurrent(COMING, |(number, token)| {
                let builder = Builder { shared: Arc::clone(&shared), token: token.expose(), instance: Uuid::new_v4() };
                async move { builder.come_up(number + 1).await }
            })
            .await;
        let fleet = Self { tasks, shared };
        timeout(PATIENCE, fleet.until_all_wait(size)).await.expect("not all builders came to wait");
        fleet
    }

    async fn until_all_wait(&self, size: usize) {
        loop {
            let answer = self.shared.http.get(format!("{}metrics", self.shared.url)).send().await.unwrap();
            let text = answer.text().await.unwrap();
            let waiting = text.lines().find_map(|line| line.strip_prefix("farm_hub_waiters ")).unwrap_or("0");
            if waiting.parse::<f64>().unwrap() as usize == size {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Makes a task, and answers how long it was there until a builder had it.
    pub fn one_task(&mut self, runtime: &Runtime, db: &TestDb) -> Duration {
        let mut conn = db.connect();
        let job = testing::submitted(&mut conn, None);
        testing::accept(&mut conn, job, &[PLATFORM]);
        let made = Instant::now();
        let got = runtime.block_on(async { timeout(PATIENCE, self.tasks.recv()).await });
        let got = got.expect("nobody got the task").unwrap();
        got.saturating_duration_since(made)
    }

    /// Claims that came back at once and without a task.
    pub fn woken_in_vain(&self) -> usize {
        self.shared.in_vain.load(Ordering::Relaxed)
    }

    pub fn errors(&self) -> usize {
        self.shared.errors.load(Ordering::Relaxed)
    }

    pub fn first_error(&self) -> Option<String> {
        self.shared.first_error.lock().unwrap().clone()
    }
}

impl Builder {
    async fn come_up(self, number: usize) {
        let hello = Hello {
            name: format!("b{number}").parse().unwrap(),
            instance: self.instance,
            version: "bench".to_owned(),
            arches: vec!["x86_64".to_owned()],
            slots: 1,
            successor: false,
        };
        let taken = self.post("hello", None, &hello).await.is_some();
        assert!(taken, "the hub takes no builder: {:?}", self.shared.first_error.lock().unwrap());
        let builder = Arc::new(self);
        tokio::spawn(Arc::clone(&builder).work());
        // Real ones came up at different times.
        let phase = REPORT.mul_f64(number as f64 * 0.618 % 1.0);
        tokio::spawn(builder.report(phase));
    }

    async fn work(self: Arc<Self>) {
        loop {
            let (claim, began) =
                (Claim { instance: self.instance, want: 1, wait_seconds: WAIT_SECONDS }, Instant::now());
            let Some(answer) = self.post("claim", None, &claim).await else {
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            let claimed: Claimed = serde_json::from_slice(&answer).unwrap();
            if claimed.leases.is_empty() && began.elapsed() < Duration::from_secs(u64::from(WAIT_SECONDS) - 1) {
                self.shared.in_vain.fetch_add(1, Ordering::Relaxed);
            }
            for lease in claimed.leases {
                let _ = self.shared.got.send(Instant::now());
                self.post("finish", Some(&lease.key.to_header()), &testing::ended(Outcome::Succeeded)).await;
            }
        }
    }

    async fn report(self: Arc<Self>, phase: Duration) {
        sleep(phase).await;
        loop {
            let status = Status {
                instance: self.instance,
                reason: None,
                load: 0.1,
                processors: 2,
                memory_available: 1 << 30,
                disk_available: 1 << 40,
                files_available: 1 << 20,
            };
            self.post("status", None, &status).await;
            sleep(REPORT).await;
        }
    }

    /// The body of an answer; `None`: the call failed, which is noted.
    async fn post(&self, call: &str, lease: Option<&str>, body: &impl Serialize) -> Option<Vec<u8>> {
        let url = format!("{}hub/v1/{call}", self.shared.url);
        let mut request = self.shared.http.post(url).bearer_auth(&self.token).json(body);
        if let Some(key) = lease {
            request = request.header(LEASE_HEADER, key);
        }
        let answer = async {
            let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
            let (status, bytes) = (answer.status(), answer.bytes().await.map_err(|error| format!("{error:?}"))?);
            if status.is_success() {
                Ok(bytes.to_vec())
            } else {
                Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)))
            }
        };
        match answer.await {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.shared.errors.fetch_add(1, Ordering::Relaxed);
                self.shared.first_error.lock().unwrap().get_or_insert(format!("{call}: {error}"));
                None
            }
        }
    }
}
