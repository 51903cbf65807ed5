//! What a claim costs does not depend on how long the queue is, nor on what was claimed before.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{PgConnection, connection::SimpleConnection as _};
use farm_db::queue::{self, ClaimedTask};
use farm_testing::{Cluster, TestDb};

use crate::{
    Plan, farm,
    farm::{INSTANCE, builder},
    server::text,
    table::{Table, Wanted, median},
};

/// Claims of each kind in a round.
const CLAIMS: u64 = 200;
/// A short queue.
const SHORT: u64 = 1_000;

/// A builder of one platform, and one of three.
const ONE: u64 = 1;
const THREE: u64 = 2;

/// A queue, and a connection to it.
struct Side {
    conn: PgConnection,
    db: TestDb,
}

impl Side {
    fn new(cluster: &Arc<Cluster>, tasks: u64) -> Self {
        let db = cluster.database();
        farm::prepare(&db, 2);
        farm::fill(&db, tasks);
        let mut conn = db.connect();
        conn.batch_execute(
            "UPDATE farm.builder SET platforms = '{p0-x86_64}' WHERE id = 1;
             UPDATE farm.builder SET platforms = '{p0-x86_64,p1-x86_64,p2-x86_64}' WHERE id = 2",
        )
        .unwrap();
        Self { conn, db }
    }

    /// The time in which so many tasks were claimed, each being given back outside of it.
    fn time(&mut self, holder: u64) -> f64 {
        let mut times = Vec::new();
        for _ in 0..CLAIMS {
            let began = Instant::now();
            let claimed: Vec<ClaimedTask> = queue::claim(&mut self.conn, builder(holder), INSTANCE, 1, 60).unwrap();
            times.push(began.elapsed());
            assert!(!claimed.is_empty(), "nothing was claimed");
            for task in claimed {
                queue::release(&mut self.conn, builder(holder), &task.key, "measured").unwrap();
            }
        }
        median(times.iter().map(Duration::as_secs_f64).collect())
    }
}

/// A long queue against a short one; in both, 3 of 8 tasks are urgent and of other platforms than those of whoever claims.
pub fn depth(cluster: &Arc<Cluster>, plan: &Plan, table: &mut Table) {
    println!("\na claim from {} tasks and from {SHORT}, median µs of {CLAIMS}, in turns", plan.depth);
    let mut sides = [Side::new(cluster, plan.depth), Side::new(cluster, SHORT)];
    for side in &mut sides {
        side.conn
            .batch_execute(
                "SET session_replication_role = replica;
                 UPDATE farm.task SET class = 'urgent' WHERE platform IN ('p3-x86_64', 'p4-x86_64', 'p5-x86_64');
                 UPDATE farm.ready SET class = 'urgent' WHERE platform IN ('p3-x86_64', 'p4-x86_64', 'p5-x86_64');
                 SET session_replication_role = DEFAULT",
            )
            .unwrap();
        farm::settle(&mut side.conn);
    }
    for (what, holder) in [("one platform", ONE), ("three platforms, others urgent", THREE)] {
        let ratio = compare(&mut sides, plan.rounds, what, holder);
        table.add(format!("claim from {} / from {SHORT}: {what}", plan.depth), ratio, "×", Wanted::AtMost(1.2));
    }
}

/// A queue with dead rows at its head, which an open snapshot keeps, against one without.
pub fn snapshot(cluster: &Arc<Cluster>, plan: &Plan, table: &mut Table) {
    println!(
        "\na claim behind {} dead rows of its platform that a snapshot keeps, and without, median µs of {CLAIMS}, in turns",
        plan.dead
    );
    let mut held = Side::new(cluster, SHORT + plan.dead * farm::PLATFORMS);
    let clean = Side::new(cluster, SHORT);
    let mut snapshot = held.db.connect();
    snapshot.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    text(&mut snapshot, "SELECT count(*)::text AS text FROM farm.ready");
    let dead = format!("DELETE FROM farm.ready WHERE task_id <= {}", plan.dead * farm::PLATFORMS);
    held.conn.batch_execute(&dead).unwrap();
    held.conn.batch_execute("ANALYZE farm.ready").unwrap();
    let ratio = compare(&mut [held, clean], plan.rounds, "one platform", ONE);
    table.add(format!("claim behind {} dead rows / without", plan.dead), ratio, "×", Wanted::AtMost(2.0));
    drop(snapshot);
}

/// The first queue's time through the second's.
fn compare(sides: &mut [Side; 2], rounds: u64, what: &str, holder: u64) -> f64 {
    let mut ratios = Vec::new();
    // The first one warms caches and plans.
    for round in 0..=rounds {
        let [one, other] = sides;
        let (one, other) = (one.time(holder), other.time(holder));
        println!("{what:<40} {:>8.0} {:>8.0}  {:>5.2}", one * 1e6, other * 1e6, one / other);
        if round > 0 {
            ratios.push(one / other);
        }
    }
    median(ratios)
}
