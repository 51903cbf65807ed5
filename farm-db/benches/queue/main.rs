//! `cargo bench -p farm-db --bench queue`: what the queue costs, beside others on the same server, in turns, so that a machine that is slow
//! for a while is slow for all of them. Ends with a table of what was measured and what is wanted.
//!
//! `FARM_BENCH_ROUNDS` (5), `FARM_BENCH_SECONDS` (4: of each turn), `FARM_BENCH_WORKERS` (16), `FARM_BENCH_DEPTH` (1000000: tasks of a long
//! queue), `FARM_BENCH_DEAD` (50000: dead rows of each platform) and `FARM_BENCH_PEERS` (1; 0: none) say how much. `cargo test -p farm-db
//! --bench queue` does a little of everything, to see that it works.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod farm;
mod flat;
mod heartbeats;
mod hub;
mod peers;
mod raw;
mod throughput;

use farm_postgres::Options;
use farm_testing::{Cluster, bench::Table};

/// How much is measured.
struct Plan {
    rounds: u64,
    seconds: u64,
    workers: u64,
    depth: u64,
    dead: u64,
    peers: bool,
}

impl Plan {
    fn from_env() -> Self {
        // Cargo says so when it runs a bench as one.
        let whole = std::env::args().any(|argument| argument == "--bench");
        let number = |name: &str, usual: u64, small: u64| {
            let said = std::env::var(format!("FARM_BENCH_{name}")).ok();
            said.map_or(if whole { usual } else { small }, |text| text.parse().unwrap())
        };
        Self {
            rounds: number("ROUNDS", 5, 1),
            seconds: number("SECONDS", 4, 1),
            workers: number("WORKERS", 16, 16),
            depth: number("DEPTH", 1_000_000, 10_000),
            dead: number("DEAD", 50_000, 1_000),
            peers: number("PEERS", 1, 0) != 0,
        }
    }
}

fn main() {
    let plan = Plan::from_env();
    let options = Options { temporary: true, ..Options::persistent() };
    // As much as a farm of that size has; the tests' own is for many small databases.
    let cluster = Cluster::with(options.set("shared_buffers", "512MB").set("max_wal_size", "4GB"));
    let mut table = Table::default();
    throughput::measure(&cluster, &plan, &mut table);
    flat::depth(&cluster, &plan, &mut table);
    flat::snapshot(&cluster, &plan, &mut table);
    heartbeats::measure(&cluster, &plan, &mut table);
    table.print();
}
