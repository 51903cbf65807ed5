//! `cargo bench -p farm-db`: claim and finish through farm-db against the same two statements sent by pgbench, in turns
//! on one server and one database, so that a machine that is slow for a while is slow for both.
//!
//! `FARM_BENCH_ROUNDS` (5), `FARM_BENCH_SECONDS` (5) and `FARM_BENCH_CLIENTS` (8) say how much.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::{
    process::Command,
    sync::Barrier,
    time::{Duration, Instant},
};

use diesel::{PgConnection, RunQueryDsl as _, connection::SimpleConnection as _, sql_query, sql_types::BigInt};
use farm_api::hub::{Finish, Hello};
use farm_db::queue;
use farm_postgres::{Options, Programs};
use farm_testing::{Cluster, TestDb};
use farm_types::{BuilderId, Outcome};
use uuid::Uuid;

const PLATFORMS: i64 = 4;
const INSTANCE: Uuid = Uuid::from_u128(1);

/// What pgbench sends (with `aset`, which takes an empty claim for none and goes on); `:client_id` makes each client a builder of its own, as each thread of ours is.
const SCRIPT: &str = "\
\\set builder :client_id + 1
SELECT task_id, attempt, token, recipe::text, sources::text FROM farm.claim(:builder, '00000000-0000-0000-0000-000000000001', 1, make_interval(secs => 60)) \\aset t_
SELECT farm.finish(:builder, :t_task_id, :t_attempt, :t_token, 'succeeded', NULL, NULL, '', '[]', '[]', '[]');
";

fn main() {
    let [rounds, seconds, clients] =
        [("ROUNDS", 5), ("SECONDS", 5), ("CLIENTS", 8)].map(|(name, usual)| number(name, usual));
    let cluster = Cluster::with(Options { temporary: true, ..Options::persistent() });
    let db = cluster.database();
    prepare(&db, clients, (rounds * 2 + 2) * seconds * 6_000);
    let script = cluster.dir().join("queue.pgbench");
    std::fs::write(&script, SCRIPT).unwrap();

    println!("claim and finish, one by one, {clients} connections, {seconds} s each, {rounds} rounds in turns");
    println!("{:>5}  {:>14}  {:>14}  {:>7}", "round", "farm-db /s", "pgbench /s", "ratio");
    let pair = || (ours(&db, clients, seconds), pgbench(&db, clients, seconds, &script));
    pair(); // warms caches and plans
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let (ours, theirs) = pair();
        ratios.push(ours / theirs);
        println!("{round:>5}  {ours:>14.0}  {theirs:>14.0}  {:>7.2}", ours / theirs);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2} (at least 0.8 is wanted)", ratios[ratios.len() / 2]);
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(format!("FARM_BENCH_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A builder per client, and so many tasks that none runs out.
fn prepare(db: &TestDb, clients: u64, tasks: u64) {
    let mut conn = db.connect();
    conn.batch_execute(&format!(
        "INSERT INTO farm.platform (name, release, arch, recipe)
           SELECT 'p' || n || '-x86_64', 'p' || n, 'x86_64', jsonb_build_object('name', 'p' || n || '-x86_64', 'release', 'p' || n,
             'arch', 'x86_64', 'base', '[\"bash\"]'::jsonb, 'repository', '[]'::jsonb) FROM generate_series(0, {PLATFORMS} - 1) n;
         INSERT INTO farm.builder (name) SELECT 'b' || n FROM generate_series(1, {clients}) n;
         INSERT INTO farm.person (principal) SELECT 'person' || n FROM generate_series(1, 50) n;
         INSERT INTO farm.blob (digest, size) VALUES (decode(repeat('ab', 32), 'hex'), 1);"
    ))
    .unwrap();
    for builder in 1..=clients {
        let hello = Hello {
            name: format!("b{builder}").parse().unwrap(),
            instance: INSTANCE,
            version: String::new(),
            arches: vec!["x86_64".to_owned()],
            slots: 1,
            successor: false,
        };
        queue::hello(&mut conn, BuilderId(i32::try_from(builder).unwrap()), "127.0.0.1", &hello).unwrap();
    }
    // By hand instead of through submit and accept, which would take longer than the bench.
    for statement in [
        "INSERT INTO farm.job (person_id, key, request, title, bucket, class, targets, state, decided_at)
           SELECT 1 + n % 50, 'k' || n, decode(repeat('ab', 32), 'hex'), 't', 'scratch', 'normal', '', 'accepted', now()
           FROM generate_series(1, $1) n",
        "INSERT INTO farm.source (job_id, position, file_name, digest, name, version, release)
           SELECT id, 1, 'f', decode(repeat('ab', 32), 'hex'), 'n' || id % 5000, '1', '1' FROM farm.job WHERE id <= $1",
        "INSERT INTO farm.task (job_id, platform, state, class, rank, timeout_seconds)
           SELECT id, 'p' || id % 4 || '-x86_64', 'pending', 'normal', id, 7200 FROM farm.job WHERE id <= $1",
        "INSERT INTO farm.ready (platform, class, rank, task_id)
           SELECT platform, class, rank, id FROM farm.task WHERE id <= $1",
    ] {
        sql_query(statement).bind::<BigInt, _>(i64::try_from(tasks).unwrap()).execute(&mut conn).unwrap();
    }
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        conn.batch_execute(statement).unwrap();
    }
}

fn ours(db: &TestDb, clients: u64, seconds: u64) -> f64 {
    let start = Barrier::new(usize::try_from(clients).unwrap());
    let done: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=clients)
            .map(|builder| {
                let start = &start;
                scope.spawn(move || {
                    let mut conn = db.connect();
                    start.wait();
                    one_client(&mut conn, BuilderId(i32::try_from(builder).unwrap()), Duration::from_secs(seconds))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    done as f64 / seconds as f64
}

fn one_client(conn: &mut PgConnection, builder: BuilderId, time: Duration) -> u64 {
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
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < time {
        // Nothing, when the others held all that it looked at: then it looks again.
        for claimed in queue::claim(conn, builder, INSTANCE, 1, 60).unwrap() {
            queue::finish(conn, builder, &claimed.key, &end).unwrap();
            done += 1;
        }
    }
    done
}

fn pgbench(db: &TestDb, clients: u64, seconds: u64, script: &std::path::Path) -> f64 {
    let output = Command::new(Programs::find(None).unwrap().path("pgbench"))
        .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string(), "-T", &seconds.to_string(), "-f"])
        .arg(script)
        .arg(db.url())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rate.unwrap_or_else(|| panic!("pgbench said: {text}{}", String::from_utf8_lossy(&output.stderr)))
}
