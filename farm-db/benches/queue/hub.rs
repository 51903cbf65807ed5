//! The queue as a hub uses it: keys in memory, claims and ends in batches of what comes together.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use farm_db::{
    Batch, Bounds, Pool, Result,
    queue::{self, ClaimedTask, Lane, Pick, Place, ReadyKey},
};
use farm_testing::TestDb;
use farm_types::LeaseKey;

use crate::farm::{INSTANCE, PLATFORMS, builder, platform, succeeded};

/// Keys that are fetched of each platform in one look.
const LOOK: u32 = 500;

type Claims = Batch<Pick, Option<ClaimedTask>>;
type Ends = Batch<(farm_types::BuilderId, LeaseKey, farm_api::hub::Finish), Result<()>>;

/// Keys of the queue, in turn of all platforms, and where the next look goes on.
#[derive(Default)]
pub struct Keys {
    keys: VecDeque<ReadyKey>,
    after: HashMap<Lane, Place>,
}

impl Keys {
    /// The next so many; fewer when the queue is empty.
    pub fn take(&mut self, conn: &mut farm_db::PgConnection, number: usize) -> Vec<ReadyKey> {
        if self.keys.len() < number {
            let lanes = (0..PLATFORMS).flat_map(|number| Lane::of(&platform(number)));
            let (old, new): (Vec<_>, Vec<_>) = lanes.partition(|lane| self.after.contains_key(lane));
            let old: Vec<_> = old.into_iter().map(|lane| (lane.clone(), self.after[&lane])).collect();
            let mut found = queue::ready_keys_after(conn, &old, LOOK).unwrap();
            found.extend(queue::ready_keys(conn, &new, LOOK).unwrap());
            for key in found {
                self.after.insert(key.lane(), key.place());
                self.keys.push_back(key);
            }
        }
        let number = number.min(self.keys.len());
        self.keys.drain(..number).collect()
    }
}

/// Claims and finishes one by one, by so many workers, each a builder. Answers how many.
pub fn one_by_one(db: &TestDb, workers: u64, seconds: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = Pool::new(&db.url(), 6, farm_db::pool::max_age_seconds()).unwrap();
        let claims: Claims = Batch::new(pool.clone(), Bounds::default(), |conn, picks: Vec<Pick>| {
            let claimed = queue::claim_keys(conn, &picks, 60)?;
            let mut claimed: HashMap<_, _> =
                claimed.into_iter().map(|(builder, task)| ((builder, task.key.task), task)).collect();
            Ok(picks.iter().map(|pick| claimed.remove(&(pick.builder, pick.key.task))).collect())
        });
        let ends: Ends =
            Batch::new(pool.clone(), Bounds::default(), |conn, ends: Vec<_>| queue::finish_all(conn, &ends));
        let (keys, until) =
            (Arc::new(tokio::sync::Mutex::new(Keys::default())), Instant::now() + Duration::from_secs(seconds));
        let workers: Vec<_> = (1..=workers)
            .map(|number| {
                let (pool, claims, ends, keys) = (pool.clone(), claims.clone(), ends.clone(), Arc::clone(&keys));
                tokio::spawn(async move {
                    let mut done = 0;
                    while Instant::now() < until {
                        let key = next_key(&pool, &keys).await;
                        let pick = Pick { key, builder: builder(number), instance: INSTANCE, free: 1 };
                        if let Some(task) = claims.run(pick).await.unwrap() {
                            ends.run((builder(number), task.key, succeeded())).await.unwrap().unwrap();
                            done += 1;
                        }
                    }
                    done
                })
            })
            .collect();
        let mut done = 0;
        for worker in workers {
            done += worker.await.unwrap();
        }
        done
    })
}

async fn next_key(pool: &Pool, keys: &Arc<tokio::sync::Mutex<Keys>>) -> ReadyKey {
    let mut keys = keys.lock().await;
    if let Some(key) = keys.keys.pop_front() {
        return key;
    }
    let mut old = std::mem::take(&mut *keys);
    *keys = pool
        .run(move |conn| {
            let found = old.take(conn, 1);
            found.into_iter().rev().for_each(|key| old.keys.push_front(key));
            Ok(old)
        })
        .await
        .unwrap();
    keys.keys.pop_front().unwrap()
}

/// Claims and finishes so many in each statement, on a few connections. Answers how many.
pub fn in_batches(db: &TestDb, connections: u64, size: usize, seconds: u64) -> u64 {
    let (keys, until) = (Mutex::new(Keys::default()), Instant::now() + Duration::from_secs(seconds));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=connections)
            .map(|number| {
                let keys = &keys;
                scope.spawn(move || {
                    let mut conn = db.connect();
                    let mut done = 0;
                    while Instant::now() < until {
                        let keys = keys.lock().unwrap().take(&mut conn, size);
                        let pick = |key| Pick { key, builder: builder(number), instance: INSTANCE, free: 1 };
                        let picks: Vec<_> = keys.into_iter().map(pick).collect();
                        let claimed = queue::claim_keys(&mut conn, &picks, 60).unwrap();
                        let ends: Vec<_> =
                            claimed.into_iter().map(|(builder, task)| (builder, task.key, succeeded())).collect();
                        done += queue::finish_all(&mut conn, &ends).unwrap().into_iter().filter(Result::is_ok).count()
                            as u64;
                    }
                    done
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}
