//! Claim and finish: ours, the statements by themselves, and other queues on PostgreSQL.

use std::sync::Arc;

use farm_testing::{
    Cluster,
    bench::{Server, Table, Turn, Wanted, median},
};

use crate::{Plan, farm, hub, peers::Peers, raw};

/// Tasks of a second that are put into the queue before a turn: more than any machine does.
const FASTEST: u64 = 30_000;
/// Tasks of a batch, and connections that do batches.
const BATCH: usize = 16;
const CONNECTIONS: u64 = 4;

/// Who takes turns.
const NAMES: [&str; 5] = ["raw", "farm", "farm in batches", "graphile-worker", "pg-boss"];

pub fn measure(cluster: &Arc<Cluster>, plan: &Plan, table: &mut Table) {
    let db = cluster.database();
    farm::prepare(&db, plan.workers.max(CONNECTIONS));
    let (server, script) = (Server::of(&db), raw::script(&db));
    let peers = if plan.peers { Peers::prepare(cluster) } else { None };
    println!(
        "claim and finish, {} workers, {} s each, in turns: jobs/s (µs of PostgreSQL's processors for each)",
        plan.workers, plan.seconds
    );
    println!("{:>5}  {}", "round", NAMES.map(|name| format!("{name:>18}")).join(""));
    let mut rounds: Vec<[Option<Turn>; 5]> = Vec::new();
    // The first one warms caches and plans.
    for round in 0..=plan.rounds {
        farm::fill(&db, FASTEST * plan.seconds);
        let (workers, seconds) = (plan.workers, plan.seconds);
        let ours = [
            server.turn(|| raw::one_by_one(&db, &script, workers, seconds)),
            server.turn(|| hub::one_by_one(&db, workers, seconds)),
            server.turn(|| hub::in_batches(&db, CONNECTIONS, BATCH, seconds)),
        ];
        let [graphile, boss] =
            peers.as_ref().map_or([None; 2], |peers| peers.turns(&server, workers, seconds).map(Some));
        let turns = [Some(ours[0]), Some(ours[1]), Some(ours[2]), graphile, boss];
        let show = |turn: Option<Turn>| {
            turn.map_or(format!("{:>18}", "–"), |turn| format!("{:>10.0} ({:>4.0})", turn.rate(), turn.cpu_each()))
        };
        println!("{round:>5}  {}", turns.map(show).join("  "));
        if round > 0 {
            rounds.push(turns);
        }
    }
    let ratio = |of: fn(Turn) -> f64, one: usize, other: usize| {
        let ratios: Vec<f64> = rounds.iter().filter_map(|turns| Some(of(turns[one]?) / of(turns[other]?))).collect();
        (!ratios.is_empty()).then(|| median(ratios))
    };
    let mut add = |what: &str, ratio: Option<f64>, wanted| match ratio {
        Some(ratio) => table.add(what, ratio, "×", wanted),
        None => println!("{what}: not measured"),
    };
    add("one by one, jobs/s / raw", ratio(Turn::rate, 1, 0), Wanted::AtLeast(0.8));
    add("one by one, PostgreSQL's processors for each job / raw", ratio(Turn::cpu_each, 1, 0), Wanted::AtMost(1.3));
    add("in batches of 16, jobs/s / raw one by one", ratio(Turn::rate, 2, 0), Wanted::AtLeast(3.0));
    add("in batches of 16, PostgreSQL's processors for each job / raw", ratio(Turn::cpu_each, 2, 0), Wanted::Nothing);
    add("one by one, jobs/s / graphile-worker", ratio(Turn::rate, 1, 3), Wanted::AtLeast(2.0));
    add("one by one, jobs/s / pg-boss", ratio(Turn::rate, 1, 4), Wanted::AtLeast(5.0));
}
