//! PostgreSQL fails over to its replica while a whole farm is at work.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use farm_db::testing;
use farm_testing::{Cluster, Process, Spec, eventually};
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

#[tokio::test(flavor = "multi_thread")]
async fn when_the_primary_is_killed_under_load_the_farm_goes_on_with_the_replica_and_nothing_acknowledged_is_lost() {
    let primary = Cluster::own();
    let db = primary.database();
    let replica = primary.synchronous_replica();
    let (first, second) = (primary.dir(), replica.dir());
    // As on two machines: one name for both, and libpq finds the one that takes changes.
    let both = format!(
        "host={},{} dbname={} user=ROLE target_session_attrs=read-write",
        first.display(),
        second.display(),
        db.name()
    );
    let farm = Arc::new(Farm::start(Site::local(both), &db.url()));
    let source = bring(&client(&farm.webs[0].url("/"), None), &Spec::named("quick").srpm()).await.unwrap();
    let submitting = (0..PEOPLE).map(|person| {
        let farm = Arc::clone(&farm);
        tokio::spawn(async move {
            let mut answered = Vec::new();
            for n in 0..JOBS {
                let people = client(&farm.webs[(person + n) % 2].url("/"), None);
                let key = format!("job-{person}-{n}");
                answered.push((submit(&people, source, &key).await, key));
            }
            answered
        })
    });
    let submitting: Vec<_> = submitting.collect();
    eventually("some builds", PATIENCE, async || (farm.acknowledged().len() >= 20).then_some(())).await;

    let (cluster, successor) = (Arc::clone(&primary), Arc::clone(&replica));
    let fails_over = tokio::task::spawn_blocking(move || {
        cluster.kill();
        successor.promote();
    });
    fails_over.await.unwrap();
    let (acknowledged_before, killed_at) = (farm.acknowledged(), std::time::Instant::now());
    let first_after = eventually("the first end of a build after the failover", PATIENCE, async || {
        (farm.acknowledged().len() > acknowledged_before.len()).then(|| killed_at.elapsed())
    });
    let first_after = first_after.await;

    let answered: Vec<_> = join_all(submitting).await.into_iter().flat_map(Result::unwrap).collect();
    let people = client(&farm.webs[0].url("/"), None);
    let mut jobs = Vec::new();
    for (id, key) in &answered {
        let job = end_of(&people, *id).await;
        assert_eq!(job.key.as_str(), key, "another job has the number that was answered");
        jobs.push(job);
    }
    let mut conn = connect(&replica.url_of("postgres", &db));
    assert_all_built(&mut conn, &jobs);
    assert_eq!(texts(&mut conn, "SELECT id::text AS text FROM farm.job").len(), PEOPLE * JOBS, "a job is there twice");
    let recorded = recorded(&mut conn);
    for (attempt, outcome) in farm.acknowledged() {
        assert_eq!(recorded.get(&attempt), Some(&outcome), "the end of attempt {attempt} was acknowledged");
    }
    eprintln!(
        "failover: {} jobs answered, {} ends of attempts acknowledged ({} before), all there; the first end {:.1} s after the promotion",
        answered.len(),
        farm.acknowledged().len(),
        acknowledged_before.len(),
        first_after.as_secs_f64()
    );
}
