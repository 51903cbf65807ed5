//! The queue through farm-db.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use diesel::PgConnection;
use farm_db::queue;
use farm_testing::TestDb;
use farm_types::BuilderId;

use crate::farm::{INSTANCE, builder, succeeded};

/// Claims and finishes one by one, by so many workers, each a builder with a connection. Answers how many.
pub fn one_by_one(db: &TestDb, workers: u64, seconds: u64) -> u64 {
    let start = Barrier::new(usize::try_from(workers).unwrap());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=workers)
            .map(|number| {
                let start = &start;
                scope.spawn(move || {
                    let mut conn = farm_db::pool::connect(&db.url()).unwrap();
                    start.wait();
                    work(&mut conn, builder(number), Duration::from_secs(seconds))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn work(conn: &mut PgConnection, builder: BuilderId, time: Duration) -> u64 {
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < time {
        // Nothing, when the others held all that it looked at: then it looks again.
        for claimed in queue::claim(conn, builder, INSTANCE, 1, 60).unwrap() {
            queue::finish(conn, builder, &claimed.key, &succeeded()).unwrap();
            done += 1;
        }
    }
    done
}
