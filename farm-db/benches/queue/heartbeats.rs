//! Renewals: a thousand leases in one statement, and one after the other.

use std::sync::Arc;

use farm_api::hub::Renew;
use farm_db::queue;
use farm_testing::{
    Cluster,
    bench::{Server, Table, Wanted, median, text},
};
use farm_types::BuilderId;

use crate::{
    Plan, farm,
    farm::{INSTANCE, builder},
};

/// Builders, and what each of them holds.
const BUILDERS: u64 = 50;
const LEASES: u32 = 20;
/// How often all leases are renewed in a turn.
const BEATS: u64 = 40;

pub fn measure(cluster: &Arc<Cluster>, plan: &Plan, table: &mut Table) {
    let all = BUILDERS * u64::from(LEASES);
    println!(
        "\nrenewals of {all} leases of {BUILDERS} builders, in one statement and one by one: µs of PostgreSQL's processors for each"
    );
    let db = cluster.database();
    farm::prepare(&db, BUILDERS);
    farm::fill(&db, all);
    let mut conn = db.connect();
    let renewals: Vec<(BuilderId, Renew)> = (1..=BUILDERS)
        .map(|number| {
            let claimed = queue::claim(&mut conn, builder(number), INSTANCE, LEASES, 3600).unwrap();
            assert_eq!(claimed.len(), LEASES as usize);
            let leases = claimed.into_iter().map(|task| task.key).collect();
            (builder(number), Renew { instance: INSTANCE, leases, wait_seconds: 0 })
        })
        .collect();
    farm::settle(&mut conn);
    let server = Server::of(&db);
    let (mut together, mut ratios) = (Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        let one = server.turn(|| {
            for _ in 0..BEATS {
                assert!(queue::renew_all(&mut conn, &renewals, 3600).unwrap().iter().all(Vec::is_empty));
            }
            BEATS * all
        });
        let each = server.turn(|| {
            for (builder, renew) in &renewals {
                for key in &renew.leases {
                    let renew = Renew { leases: vec![*key], ..renew.clone() };
                    assert!(queue::renew(&mut conn, *builder, &renew, 3600).unwrap().is_empty());
                }
            }
            all
        });
        println!("{round:>5}  {:>8.1} {:>8.1}", one.cpu_each(), each.cpu_each());
        if round > 0 {
            together.push(one.cpu_each());
            ratios.push(one.cpu_each() / each.cpu_each());
        }
    }
    drop(conn);
    // The connection's end has its numbers written down.
    let hot =
        "SELECT (100.0 * n_tup_hot_upd / n_tup_upd)::text AS text FROM pg_stat_user_tables WHERE relname = 'lease'";
    table.add("renewals in place (HOT)", text(&mut db.connect(), hot).parse().unwrap(), "%", Wanted::AtLeast(99.9));
    table.add("renewal in one statement, PostgreSQL's processors", median(together), " µs", Wanted::Nothing);
    table.add("the same / one by one", median(ratios), "×", Wanted::AtMost(0.05));
}
