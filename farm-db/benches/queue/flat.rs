//! What a claim costs does not depend on how long the queue is, nor on what was claimed before.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{PgConnection, connection::SimpleConnection as _};
use farm_db::queue::{self, ClaimedTask, Pick, Place};
use farm_testing::{
    Cluster, TestDb,
    bench::{Table, Wanted, median, text},
};
use farm_types::{BuilderId, Class, TaskId};

use crate::{
    Plan, farm,
    farm::{INSTANCE, builder, platform},
};

/// Claims of each kind in a round.
const CLAIMS: u64 = 200;
/// A short queue.
const SHORT: u64 = 1_000;
/// What is left behind dead rows: more of each platform than are claimed of one kind. What is given back leaves dead rows of its own, of
/// which no farm has many of the same task.
const LEFT: u64 = 12_000;
/// More than there are of a platform.
const ALL: u32 = 1_000_000;
/// Keys of a look.
const LOOK: u32 = 32;

/// A builder of one platform, and one of three.
const ONE: u64 = 1;
const THREE: u64 = 2;

/// How a task is found.
type Find = fn(&mut Side) -> Vec<ClaimedTask>;

/// A queue, and a connection to it.
struct Side {
    conn: PgConnection,
    db: TestDb,
    /// Where looks of the first platform go on.
    after: Place,
    /// Tasks of it whose keys are known, each the next one in turn.
    known: VecDeque<queue::ReadyKey>,
}

/// Before all tasks.
const START: Place = Place { class: Class::Urgent, rank: i64::MIN, task: TaskId(i64::MIN) };

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
        Self { conn, db, after: START, known: VecDeque::new() }
    }

    /// Learns what is there, as a hub has that came to where it is by claiming what was before.
    fn learn(&mut self) {
        self.known = self.look(ALL).into();
        self.after = Place { task: TaskId(self.known[0].task.0 - 1), ..self.known[0].place() };
    }

    /// The time in which so many tasks were claimed, each being given back outside of it.
    fn time(&mut self, holder: u64, find: Find) -> f64 {
        let mut times = Vec::new();
        for _ in 0..CLAIMS {
            let began = Instant::now();
            let claimed = find(self);
            times.push(began.elapsed());
            assert!(!claimed.is_empty(), "nothing was claimed");
            for task in claimed {
                queue::release(&mut self.conn, builder(holder), &task.key, "measured").unwrap();
            }
        }
        median(times.iter().map(Duration::as_secs_f64).collect())
    }

    fn look(&mut self, most: u32) -> Vec<queue::ReadyKey> {
        let lanes = queue::Lane::of(&platform(0)).map(|lane| (lane, self.after));
        queue::ready_keys_after(&mut self.conn, &lanes, most).unwrap()
    }
}

fn claim(side: &mut Side, holder: BuilderId) -> Vec<ClaimedTask> {
    queue::claim(&mut side.conn, holder, INSTANCE, 1, 60).unwrap()
}

fn from_the_head(side: &mut Side) -> Vec<ClaimedTask> {
    claim(side, builder(ONE))
}

fn of_three_platforms(side: &mut Side) -> Vec<ClaimedTask> {
    claim(side, builder(THREE))
}

/// The look goes on after what was claimed before, and what it finds first is claimed.
fn by_look_and_key(side: &mut Side) -> Vec<ClaimedTask> {
    let key = side.look(LOOK).remove(0);
    side.after = key.place();
    by_key(side, key)
}

fn by_key(side: &mut Side, key: queue::ReadyKey) -> Vec<ClaimedTask> {
    let pick = Pick { key, builder: builder(ONE), instance: INSTANCE, free: 1 };
    queue::claim_keys(&mut side.conn, &[pick], 60).unwrap().into_iter().map(|(_, task)| task).collect()
}

/// A key that is known.
fn by_known_key(side: &mut Side) -> Vec<ClaimedTask> {
    side.known.rotate_left(1);
    let key = side.known[0].clone();
    by_key(side, key)
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
        side.learn();
    }
    let kinds: [(&str, u64, Find); 3] = [
        ("one platform", ONE, from_the_head),
        ("three platforms, others urgent", THREE, of_three_platforms),
        ("by its key", ONE, by_known_key),
    ];
    for (what, holder, find) in kinds {
        let ratio = compare(&mut sides, plan.rounds, what, holder, find);
        table.add(format!("claim from {} / from {SHORT}: {what}", plan.depth), ratio, "×", Wanted::AtMost(1.2));
    }
}

/// A queue with dead rows at its head, which an open snapshot keeps, against one without.
pub fn snapshot(cluster: &Arc<Cluster>, plan: &Plan, table: &mut Table) {
    println!(
        "\na claim behind {} dead rows of its platform that a snapshot keeps, and without, median µs of {CLAIMS}, in turns",
        plan.dead
    );
    let mut held = Side::new(cluster, LEFT + plan.dead * farm::PLATFORMS);
    let clean = Side::new(cluster, LEFT);
    let mut snapshot = held.db.connect();
    snapshot.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    text(&mut snapshot, "SELECT count(*)::text AS text FROM farm.ready");
    let dead = format!("DELETE FROM farm.ready WHERE task_id <= {}", plan.dead * farm::PLATFORMS);
    held.conn.batch_execute(&dead).unwrap();
    held.conn.batch_execute("ANALYZE farm.ready").unwrap();
    let mut sides = [held, clean];
    sides.iter_mut().for_each(Side::learn);
    let kinds: [(&str, Find); 2] =
        [("by its key", by_known_key), ("by a look from where the last one ended, and key", by_look_and_key)];
    for (what, find) in kinds {
        let ratio = compare(&mut sides, plan.rounds, what, ONE, find);
        table.add(format!("claim behind {} dead rows / without: {what}", plan.dead), ratio, "×", Wanted::AtMost(2.0));
    }
    let ratio = compare(&mut sides, 1, "from the head", ONE, from_the_head);
    table.add(format!("claim behind {} dead rows / without: from the head", plan.dead), ratio, "×", Wanted::Nothing);
    drop(snapshot);
}

/// The first queue's time through the second's.
fn compare(sides: &mut [Side; 2], rounds: u64, what: &str, holder: u64, find: Find) -> f64 {
    let mut ratios = Vec::new();
    // The first one warms caches and plans.
    for round in 0..=rounds {
        let [one, other] = sides;
        let (one, other) = (one.time(holder, find), other.time(holder, find));
        println!("{what:<40} {:>8.0} {:>8.0}  {:>5.2}", one * 1e6, other * 1e6, one / other);
        if round > 0 {
            ratios.push(one / other);
        }
    }
    median(ratios)
}
