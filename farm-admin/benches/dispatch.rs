//! `cargo bench -p farm-admin --bench dispatch`: how long an idle farm takes from a job's creation to the moment a builder
//! holds its task. Real daemons (web, validator, hub) on a durable PostgreSQL; the builder is this program, waiting in the
//! hub's long poll as a real one does. Nothing is built.
//!
//! `FARM_BENCH_SAMPLES` (200) says how often.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::time::{Duration, Instant};

use farm_api::{
    client::{PeopleClient, Transport},
    hub::{Claim, Claimed, Finish, Hello, LEASE_HEADER, Welcome},
    people::{NewJob, NewSource},
    recipe::Recipe,
};
use farm_auth::Token;
use farm_db::{operator, testing};
use farm_postgres::Options;
use farm_testing::{Cluster, Process, Spec, TestDb};
use farm_types::{Digest, Outcome};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

fn main() {
    let samples = std::env::var("FARM_BENCH_SAMPLES").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let cluster = Cluster::with(Options { temporary: true, ..Options::persistent() });
    let db = cluster.database();
    let dir = tempfile::tempdir().unwrap();
    let config = |role: &str, http: bool| {
        let http = if http { "[http]\nlisten = '127.0.0.1:0'\n" } else { "" };
        let path = dir.path().display();
        format!(
            "database = '{}'\nspool = '{path}/spool'\n{http}[store]\nkind = 'folder'\npath = '{path}/store'\n",
            db.url_as(role)
        )
    };
    let token = prepare(&db);
    let web = Process::daemon("farm-web", &config("farm_web", true));
    let hub = Process::daemon("farm-hub", &config("farm_hub", true));
    let _validator = Process::daemon("farm-validator", &config("farm_validator", false));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut times = runtime.block_on(measure(&web.url("/"), &hub.url("/"), &token, samples));
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!(
        "from a job's creation to its task in a builder's hands, {samples} jobs one after the other on an idle farm"
    );
    println!("p50 {:.1} ms (under 50 is wanted)   p99 {:.1} ms (under 250)   max {:.1} ms", at(0.5), at(0.99), at(1.0));
}

fn prepare(db: &TestDb) -> Token {
    let name: farm_types::PlatformName = "bench1-x86_64".parse().unwrap();
    let recipe = Recipe {
        release: name.release().to_owned(),
        arch: name.arch().to_owned(),
        name,
        description: String::new(),
        auto: true,
        base: vec!["bash".to_owned()],
        repositories: Vec::new(),
        timeout_seconds: None,
        weight: None,
        network: false,
        limits: Default::default(),
        buckets: Vec::new(),
    };
    let (mut conn, token) = (db.connect(), Token::generate());
    operator::put_platform(&mut conn, &testing::operator(), &recipe).unwrap();
    testing::put_builder(&mut conn, "bench", &token.digest(), None);
    token
}

async fn measure(web: &str, hub: &str, token: &Token, samples: usize) -> Vec<Duration> {
    let people = PeopleClient::new(Transport::new(web, "bench").unwrap());
    let hub = Transport::new(hub, "bench").unwrap().with_token(&token.expose()).unwrap();
    let instance = Uuid::new_v4();
    let hello = Hello {
        name: "bench".parse().unwrap(),
        instance,
        version: "bench".to_owned(),
        arches: vec!["x86_64".to_owned()],
        slots: 1,
        successor: false,
    };
    hub.post("/hub/v1/hello").json(&hello).answer::<Welcome>().await.unwrap();
    let srpm = Spec::named("bench").srpm();
    let bytes = fs_err::read(&srpm).unwrap();
    let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
    people.upload(&srpm, digest, bytes.len() as u64, |_| {}).await.unwrap();
    let source = NewSource { name: "bench.src.rpm".to_owned(), digest };

    let mut times = Vec::new();
    for sample in 0..samples + 20 {
        // The builder waits before the job is there.
        let waiting = tokio::spawn(claim(hub.clone(), Claim { instance, want: 1, wait_seconds: 30 }));
        let job = NewJob {
            key: format!("bench-{sample}").parse().unwrap(),
            title: None,
            sources: vec![source.clone()],
            targets: Vec::new(),
            bucket: None,
            class: None,
            timeout_seconds: None,
            after: None,
            network: false,
            like: None,
            options: Default::default(),
        };
        let began = Instant::now();
        people.create_job(&job).await.unwrap();
        let claimed = waiting.await.unwrap();
        // The first ones warm plans and caches.
        if sample >= 20 {
            times.push(began.elapsed());
        }
        let end = Finish {
            outcome: Outcome::Succeeded,
            cause: None,
            stage: None,
            message: String::new(),
            excerpt: Vec::new(),
            stages: Vec::new(),
            marks: Vec::new(),
            usage: farm_api::record::Usage::default(),
            artifacts: Vec::new(),
        };
        let key = claimed.leases[0].key.to_header();
        hub.post("/hub/v1/finish").header(LEASE_HEADER, &key).json(&end).done().await.unwrap();
    }
    times
}

async fn claim(hub: Transport, claim: Claim) -> Claimed {
    hub.post("/hub/v1/claim").json(&claim).timeout(Duration::from_secs(60)).answer().await.unwrap()
}
