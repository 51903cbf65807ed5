//! PostgreSQL fails over to its replica while a whole farm is at work.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use farm_db::testing;
use farm_testing::{Cluster, Process, Spec, eventually};
use farm_types::{Digest, JobId};
use futures::future::join_all;

use crate::{
    builder::{Builder, Quick, gate},
    farm::{
        PATIENCE, PLATFORM, Site, acknowledged, assert_all_built, bring, client, connect, end_of, recorded, submit,
        texts,
    },
};

/// Who hands in jobs at the same time, and how many each.
const PEOPLE: usize = 4;
const JOBS: usize = 30;

/// The farm around a database that may fail over.
struct Farm {
    webs: [Process; 2],
    hubs: [Process; 2],
    _others: [Process; 3],
    _builders: Vec<Builder>,
    _site: Site,
}

impl Farm {
    fn start(site: Site, database: &str) -> Self {
        let mut conn = connect(database);
        testing::platform(&mut conn, PLATFORM);
        let hubs = [site.hub("127.0.0.1:0"), site.hub("127.0.0.1:0")];
        let addresses = [hubs[0].url("/"), hubs[1].url("/")];
        let (_open, open) = gate(true);
        let builders = ["one", "two", "three"].map(|name| {
            let config = toml::from_str(&site.builder(&mut conn, name, 3, &addresses)).unwrap();
            Builder::start(config, Quick { takes: Duration::from_millis(200), gate: open.clone() })
        });
        let webs = [site.web("127.0.0.1:0"), site.web("127.0.0.1:0")];
        let others = [site.validator(), site.validator(), site.janitor()];
        Self { webs, hubs, _others: others, _builders: builders.into(), _site: site }
    }

    fn acknowledged(&self) -> BTreeMap<String, String> {
        acknowledged(&[&self.hubs[0], &self.hubs[1]])
    }
}

/// Somebody hands in one job after the other until each is answered, and remembers the answers.
async fn somebody(farm: &Farm, source: Digest, person: usize) -> Vec<(JobId, String)> {
    let mut answered = Vec::new();
    for n in 0..JOBS {
        let people = client(&farm.webs[(person + n) % 2].url("/"), None);
        let key = format!("job-{person}-{n}");
        answered.push((submit(&people, source, &key).await, key));
    }
    answered
}

/// What happened around the failover.
struct Failover {
    acknowledged_before: usize,
    /// From the promotion to the first end of a build after it.
    pause: Duration,
}

/// Kills the primary in the middle of the work, makes a primary of the replica, and waits until the farm is at work again.
async fn fail_over(farm: &Farm, primary: Arc<Cluster>, replica: Arc<Cluster>) -> Failover {
    eventually("some builds", PATIENCE, async || (farm.acknowledged().len() >= 20).then_some(())).await;
    let fails_over = tokio::task::spawn_blocking(move || {
        primary.kill();
        replica.promote();
    });
    fails_over.await.unwrap();
    let (acknowledged_before, promoted) = (farm.acknowledged().len(), Instant::now());
    let pause = eventually("the first end of a build after the failover", PATIENCE, async || {
        (farm.acknowledged().len() > acknowledged_before).then(|| promoted.elapsed())
    });
    Failover { acknowledged_before, pause: pause.await }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_primary_is_killed_under_load_the_farm_goes_on_with_the_replica_and_nothing_acknowledged_is_lost() {
    let primary = Cluster::own();
    let db = primary.database();
    let replica = primary.synchronous_replica();
    // As on two machines: one name for both, and libpq finds the one that takes changes.
    let hosts = format!("{},{}", primary.dir().display(), replica.dir().display());
    let both = format!("host={hosts} dbname={} user=ROLE target_session_attrs=read-write", db.name());
    let farm = Farm::start(Site::local(both), &db.url());
    let source = bring(&client(&farm.webs[0].url("/"), None), &Spec::named("quick").srpm()).await.unwrap();

    let everybody = join_all((0..PEOPLE).map(|person| somebody(&farm, source, person)));
    let (answered, failover) = tokio::join!(everybody, fail_over(&farm, Arc::clone(&primary), Arc::clone(&replica)));
    let people = client(&farm.webs[0].url("/"), None);
    let mut jobs = Vec::new();
    for (id, key) in answered.iter().flatten() {
        let job = end_of(&people, *id).await;
        assert_eq!(job.key.as_str(), key, "another job has the number that was answered");
        jobs.push(job);
    }
    let mut conn = connect(&replica.url_of("postgres", &db));
    assert_all_built(&mut conn, &jobs);
    assert_eq!(texts(&mut conn, "SELECT id::text AS text FROM farm.job").len(), PEOPLE * JOBS, "a job is there twice");
    let (recorded, acknowledged) = (recorded(&mut conn), farm.acknowledged());
    for (attempt, outcome) in &acknowledged {
        assert_eq!(recorded.get(attempt), Some(outcome), "the end of attempt {attempt} was acknowledged");
    }
    eprintln!(
        "failover: {} jobs answered, {} ends of attempts acknowledged ({} before), all there; the first end {:.1} s after the promotion",
        jobs.len(),
        acknowledged.len(),
        failover.acknowledged_before,
        failover.pause.as_secs_f64()
    );
}
