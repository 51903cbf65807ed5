//! `cargo bench -p farm-hub`: a hub and so many builders, each with a connection of its own as a real one has, on a PostgreSQL that
//! survives crashes. The builders are this process; nothing is built.
//!
//! How many statements and how much of a processor they cost while nothing is to be done; whom a task wakes, and how soon after it was
//! made a builder has it.
//!
//! `FARM_BENCH_BUILDERS` (`1000,10000`), `FARM_BENCH_SECONDS` (60: how long to look at an idle farm) and `FARM_BENCH_SAMPLES` (300: how
//! many tasks) say how much.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench fails by panicking")]

mod fleet;

use std::time::{Duration, Instant};

use diesel::{QueryableByName, RunQueryDsl as _, connection::SimpleConnection as _, sql_query, sql_types::BigInt};
use farm_db::testing;
use farm_postgres::Options;
use farm_testing::{
    Cluster, Process, TestDb,
    bench::{Server, Table, Wanted},
};

use self::fleet::Fleet;

const PLATFORM: &str = "bench1-x86_64";

fn main() {
    let sizes: Vec<usize> = setting("BUILDERS", "1000,10000").split(',').map(|size| size.parse().unwrap()).collect();
    let seconds: u64 = setting("SECONDS", "60").parse().unwrap();
    let samples: usize = setting("SAMPLES", "300").parse().unwrap();
    let mut table = Table::default();
    for size in sizes {
        // What `make bench` wants of a farm is wanted of this many; of more it is only told what comes of it.
        let judged = size <= 1000;
        measure(size, Duration::from_secs(seconds), samples, judged, &mut table);
    }
    table.print();
}

fn setting(name: &str, usual: &str) -> String {
    std::env::var(format!("FARM_BENCH_{name}")).unwrap_or_else(|_| usual.to_owned())
}

fn measure(size: usize, idle: Duration, samples: usize, judged: bool, table: &mut Table) {
    let wanted = |most| if judged { Wanted::AtMost(most) } else { Wanted::Nothing };
    let settings = [("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned())].into();
    let cluster = Cluster::with(Options { temporary: true, settings, ..Options::persistent() });
    let db = cluster.database();
    db.connect().batch_execute("CREATE EXTENSION pg_stat_statements SCHEMA public").unwrap();
    testing::platform(&mut db.connect(), PLATFORM);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    // Room for so many calls of one address: real builders have one each.
    let hub = Process::daemon(
        "farm-hub",
        &format!(
            "database = '{}'\nspool = '{path}/spool'\nmax_calls = 40000\n[http]\nlisten = '127.0.0.1:0'\n[store]\nkind = 'folder'\npath = '{path}/store'\n",
            db.url_as("farm_hub")
        ),
    );
    let server = Server::of(&db);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let name = |what: &str| format!("{size} builders: {what}");

    let began = Instant::now();
    let mut fleet = runtime.block_on(Fleet::start(&hub.url("/"), &db, size));
    table.add(name("all came up and wait, after"), began.elapsed().as_secs_f64(), " s", Wanted::Nothing);
    // What they did to come up is over, and all of them have reported once.
    std::thread::sleep(fleet::REPORT);

    let (before, hub_before) = (statements(&db), ticks(hub.pid()));
    let turn = server.turn(|| {
        std::thread::sleep(idle);
        1
    });
    let passed = turn.time.as_secs_f64();
    let each_second = (statements(&db) - before) as f64 / passed;
    table.add(name("idle, statements of the hub"), each_second, "/s", wanted(35.0));
    table.add(name("idle, of a core in PostgreSQL"), turn.cpu / passed * 100.0, " %", wanted(2.0));
    table.add(
        name("idle, of a core in the hub"),
        (ticks(hub.pid()) - hub_before) / passed * 100.0,
        " %",
        Wanted::Nothing,
    );
    table.add(name("memory of the hub"), memory(hub.pid()), " MiB", Wanted::Nothing);

    let mut times: Vec<f64> = (0..samples).map(|_| fleet.one_task(&runtime, &db).as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    table.add(name("from a task that can be claimed to a builder that has it, p50"), at(0.5), " ms", wanted(10.0));
    table.add(name("the same, p99"), at(0.99), " ms", wanted(50.0));
    table.add(
        name("builders that a task woke, of those it was not for"),
        fleet.woken_in_vain() as f64,
        "",
        Wanted::AtMost(0.0),
    );
    assert_eq!(fleet.errors(), 0, "calls of builders failed; the first: {:?}", fleet.first_error());
}

/// Statements that hubs have sent so far.
fn statements(db: &TestDb) -> i64 {
    #[derive(QueryableByName)]
    struct Calls {
        #[diesel(sql_type = BigInt)]
        calls: i64,
    }
    let sql = "SELECT coalesce(sum(calls), 0)::bigint AS calls FROM public.pg_stat_statements
               WHERE userid = 'farm_hub'::regrole AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
    sql_query(sql).get_result::<Calls>(&mut db.connect()).unwrap().calls
}

/// Seconds of processors that a process has taken.
fn ticks(pid: u32) -> f64 {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<u64> =
        stat.rsplit_once(") ").unwrap().1.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
    (fields[11] + fields[12]) as f64 / 100.0
}

/// Memory that a process has, in MiB.
fn memory(pid: u32) -> f64 {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
