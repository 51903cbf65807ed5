//! A farm to measure: platforms, builders, and tasks in the queue.

use diesel::{PgConnection, RunQueryDsl as _, connection::SimpleConnection as _, sql_query, sql_types::BigInt};
use farm_api::hub::{Finish, Hello};
use farm_db::queue;
use farm_testing::{TestDb, bench::text};
use farm_types::{BuilderId, Outcome, PlatformName};
use uuid::Uuid;

/// Tasks are spread over so many platforms, `p0-x86_64` and so on.
pub const PLATFORMS: u64 = 8;
/// The life of every builder.
pub const INSTANCE: Uuid = Uuid::from_u128(1);

/// The builder of that number, from 1.
pub fn builder(number: u64) -> BuilderId {
    BuilderId(i32::try_from(number).unwrap())
}

/// The platform of that number, from 0.
pub fn platform(number: u64) -> PlatformName {
    format!("p{number}-x86_64").parse().unwrap()
}

/// Platforms, persons, and so many builders that serve all platforms.
pub fn prepare(db: &TestDb, builders: u64) {
    let mut conn = db.connect();
    conn.batch_execute(&format!(
        "INSERT INTO farm.platform (name, release, arch, recipe)
           SELECT 'p' || n || '-x86_64', 'p' || n, 'x86_64', jsonb_build_object('name', 'p' || n || '-x86_64', 'release', 'p' || n,
             'arch', 'x86_64', 'base', '[\"bash\"]'::jsonb, 'repository', '[]'::jsonb) FROM generate_series(0, {PLATFORMS} - 1) n;
         INSERT INTO farm.builder (name) SELECT 'b' || n FROM generate_series(1, {builders}) n;
         INSERT INTO farm.person (principal) SELECT 'person' || n FROM generate_series(1, 50) n;
         INSERT INTO farm.blob (digest, size) VALUES (decode(repeat('ab', 32), 'hex'), 1);"
    ))
    .unwrap();
    for number in 1..=builders {
        let hello = Hello {
            name: format!("b{number}").parse().unwrap(),
            instance: INSTANCE,
            version: String::new(),
            arches: vec!["x86_64".to_owned()],
            slots: 64,
            successor: false,
        };
        queue::hello(&mut conn, builder(number), "127.0.0.1", &hello).unwrap();
    }
}

/// Lets there be so many tasks in the queue at least. By hand instead of through submit and accept, which would take longer than the bench.
pub fn fill(db: &TestDb, tasks: u64) {
    let mut conn = db.connect();
    let there: u64 = text(&mut conn, "SELECT count(*)::text AS text FROM farm.ready").parse().unwrap();
    let Some(missing) = tasks.checked_sub(there).filter(|missing| *missing > 0) else { return };
    // Nothing here that a trigger would refuse.
    conn.batch_execute("SET session_replication_role = replica").unwrap();
    let last = text(&mut conn, "SELECT coalesce(max(id), 0)::text AS text FROM farm.job");
    for statement in [
        "INSERT INTO farm.job (person_id, key, request, title, bucket, class, targets, state, decided_at)
           SELECT 1 + n % 50, 'k' || n, decode(repeat('ab', 32), 'hex'), 't', 'scratch', 'normal', '', 'accepted', now()
           FROM generate_series($1 + 1, $1 + $2) n",
        "INSERT INTO farm.source (job_id, position, file_name, digest, name, version, release)
           SELECT id, 1, 'f', decode(repeat('ab', 32), 'hex'), 'n' || id % 5000, '1', '1'
           FROM farm.job WHERE id BETWEEN $1 + 1 AND $1 + $2",
        "INSERT INTO farm.task (job_id, platform, state, class, rank, timeout_seconds)
           SELECT id, 'p' || id % 8 || '-x86_64', 'pending', 'normal', id, 7200 FROM farm.job WHERE id BETWEEN $1 + 1 AND $1 + $2",
        "INSERT INTO farm.ready (platform, class, rank, task_id)
           SELECT platform, class, rank, id FROM farm.task WHERE job_id BETWEEN $1 + 1 AND $1 + $2",
    ] {
        let query = sql_query(statement).bind::<BigInt, _>(last.parse::<i64>().unwrap());
        query.bind::<BigInt, _>(i64::try_from(missing).unwrap()).execute(&mut conn).unwrap();
    }
    settle(&mut conn);
}

/// Lets nothing be left to do of what came before.
pub fn settle(conn: &mut PgConnection) {
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        conn.batch_execute(statement).unwrap();
    }
}

/// The end of a build that made nothing.
pub fn succeeded() -> Finish {
    Finish {
        outcome: Outcome::Succeeded,
        cause: None,
        stage: None,
        message: String::new(),
        excerpt: Vec::new(),
        stages: Vec::new(),
        marks: Vec::new(),
        usage: farm_api::record::Usage::default(),
        artifacts: Vec::new(),
    }
}
